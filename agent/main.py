"""The program's entry: the only place that catches everything and knows exit codes."""

import sys
import traceback

from agent.cli import app
from agent.cli.options import debug
from agent.errors import AgentError


def main() -> None:
    """Run the command line; a failure is one sentence on stderr and an exit code."""
    try:
        app(prog_name="agent")
    except AgentError as error:
        _tell(str(error))
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)  # 128 + SIGINT, as shells count
    except Exception as error:  # noqa: BLE001  (the last place that can still say something)
        from agent.log import log

        log.error("agent.failed", error=f"{type(error).__name__}: {error}")
        _tell("This is a fault in the agent itself; `agent --debug …` shows where.")
        sys.exit(1)


def _tell(sentence: str) -> None:
    if debug():
        traceback.print_exc()
    sys.stderr.write(f"agent: {sentence}\n")


if __name__ == "__main__":
    main()
