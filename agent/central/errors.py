"""What can be wrong with central, as the one who started it or asked it sees it."""

from agent.errors import AgentError, NotReadyError, NotRunningError, RefusedError


class CentralNotRunningError(NotRunningError):
    """No central answers at {0}. Start it with `agent central`."""


class CentralRunningError(RefusedError):
    """Another central (process {0}) uses {1}. Stop it first, or give this one other paths."""


class CentralBindError(AgentError):
    """Central cannot listen on {0}: {1}."""


class StoreMissingError(NotReadyError):
    """Central's store needs chDB, which is not installed: `pip install 'inferward[central]'`."""


class StoreFailedError(AgentError):
    """Central's store failed: {0}."""


class QuestionError(AgentError):
    """Central has no answer to that: {0}."""
