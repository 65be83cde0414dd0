"""What can be wrong with a recording."""

from agent.errors import AgentError, RefusedError


class NoRecordingError(AgentError):
    """{0} is no recording that this program reads: {1}."""


class BrokenRecordingError(AgentError):
    """{0} ends early, after {1} records: {2}. What stands before that was read."""


class RecordingPathError(AgentError):
    """{0} cannot be written: {1}."""


class RecordingRunsError(RefusedError):
    """a recording into {0} is under way; one at a time."""
