"""What can be wrong with the local store."""

from agent.errors import AgentError, NotRunningError, UnknownError


class UnknownVerdictError(UnknownError):
    """There is no verdict whose id starts with {0!r}. `agent verdicts` lists them."""


class AmbiguousVerdictError(UnknownError):
    """More than one verdict starts with {0!r}: give more of the id."""


class NoStoreError(NotRunningError):
    """Nothing was recorded yet: {0} does not exist. Has `agent run` been started on this host?"""


class StoreUnreadableError(AgentError):
    """{0} cannot be read ({1}). If it is damaged, a restart of the agent sets it aside."""
