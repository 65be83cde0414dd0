"""The child that reads: `python -m agent.evidence.reader BOUNDS PID:START…`, messages on stdout."""

import json
import sys
from collections.abc import Sequence

from agent.evidence.bounds import Bounds
from agent.evidence.examine import examine
from agent.evidence.files import Files
from agent.evidence.memory import Memory
from agent.evidence.opened import OpenedProcess
from agent.evidence.pieces import ALIVE, DONE, PIECE, Piece, message
from agent.response.containment import ProcessId


def main(arguments: Sequence[str]) -> None:
    """Read each process in turn; one that is gone leaves a word."""
    bounds = Bounds(**json.loads(arguments[0]))
    files, memory = Files(bounds, _alive), Memory(bounds, _alive)
    for text in arguments[1:]:
        process = OpenedProcess.open(ProcessId.parse(text))
        if process is None:
            pid = ProcessId.parse(text).pid
            _say(message(PIECE, Piece(f"processes/{pid}/gone", b"", "it had ended")))
        else:
            with process:
                for piece in examine(process, files, memory):
                    _say(message(PIECE, piece))
        _say(message(DONE))


def _alive() -> None:
    _say(message(ALIVE))


def _say(said: bytes) -> None:
    sys.stdout.buffer.write(said)
    sys.stdout.buffer.flush()


if __name__ == "__main__":
    main(sys.argv[1:])
