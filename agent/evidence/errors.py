"""Why there is no bundle."""

from agent.errors import AgentError, UnknownError


class UnknownSubjectError(UnknownError):
    """Neither a containment nor a verdict is called {0!r}. `agent verdicts` lists what there is."""


class AmbiguousSubjectError(UnknownError):
    """More than one containment starts with {0!r}: give more of the id."""


class EvidenceError(AgentError):
    """The evidence could not be written to {0}: {1}."""


class UnsafePlaceError(EvidenceError):
    """The evidence is not written to {0}: {1} could change it there."""
