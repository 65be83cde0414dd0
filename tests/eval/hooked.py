"""Runs a Python server with a door for drills in its process.

    python tests/eval/hooked.py ROOT DIRECTORY HUB DOOR_PORT SCRIPT [ARGUMENT…]

The token comes by standard input, so that no look at the command line tells it.
"""

import runpy
import sys
from pathlib import Path


def main() -> None:
    """Open the door, then be the server."""
    root, directory, hub, port, script, *arguments = sys.argv[1:]
    sys.path.insert(0, root)
    from agent.drills.door import open_door  # noqa: PLC0415 - found by the path just given

    token = sys.stdin.readline().strip()
    open_door(Path(directory), int(hub), token, int(port))
    sys.path[0] = str(Path(script).parent)
    sys.argv = [script, *arguments]
    runpy.run_path(script, run_name="__main__")


main()
