"""Why drills cannot be run."""

from agent.errors import AgentError, NotReadyError


class DrillServerError(AgentError):
    """The drill's own test server did not start: {0}."""


class DrillBaselineError(NotReadyError):
    """The baseline of {0} is not ready: {1}. Shorter [learning] times make a drill quicker."""


class NoReportError(AgentError):
    """No drill was run here yet: `agent drill run` makes {0}."""
