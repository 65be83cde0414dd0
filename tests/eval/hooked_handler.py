"""TorchServe's handler of the digit model, and a door for drills in its worker's process.

Packed into the model's archive beside `handler.py`. Which door, the variable DOOR says; the
token lies in a file that only its owner may read.
"""

import json
import os
import sys
from pathlib import Path

_door = json.loads(os.environ["DOOR"])
sys.path.append(_door["root"])

from handler import handle  # type: ignore[import-not-found]  # noqa: E402 - of the archive

from agent.drills.door import open_door  # noqa: E402 - found by the path just added

__all__ = ["handle"]

_token = Path(_door["token"]).read_text("ascii").strip()
open_door(Path(_door["directory"]), _door["hub"], _token, _door["port"])
