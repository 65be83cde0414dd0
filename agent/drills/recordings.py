"""Where a run of drills leaves its recordings, in the layout that `agent eval recordings` reads.

    DIR/normal/NAME.rec              ordinary life, and each look-alike
    DIR/attack/TECHNIQUE/NAME.rec    each attack, under the first technique it simulates

The directories are the labels: a recording of one's own is added by putting it in its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.control import request
from agent.errors import AgentError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from agent.drills.catalogue import Drill

NORMAL: Final = "normal"
ATTACK: Final = "attack"
SUFFIX: Final = ".rec"

ORDINARY_S: Final = 60.0
"""Of ordinary life before the first drill: some sixty windows that nothing is simulated in."""

_LONGEST_S: Final = 600.0
"""A recording ends by itself should nobody be there to end it."""


class DrillRecordingError(AgentError):
    """{0} cannot take recordings: {1}."""


class Recordings:
    """Has the running agent record while something is done.

    Args:
        run_dir: Of the running agent, which writes the files.
        root: The directory of the layout; none: nothing is recorded.

    Raises:
        DrillRecordingError: The directory cannot be made, or holds such recordings already.
    """

    def __init__(self, run_dir: Path, root: Path | None) -> None:
        """Make the directory."""
        self._run_dir = run_dir
        self._root = None if root is None else root.absolute()
        if self._root is None:
            return
        if any(self._root.rglob(f"*{SUFFIX}")):
            raise DrillRecordingError(self._root, "it holds recordings already")
        try:
            (self._root / NORMAL).mkdir(parents=True, exist_ok=True)
            (self._root / ATTACK).mkdir(exist_ok=True)
        except OSError as error:
            raise DrillRecordingError(self._root, error.strerror) from error

    def __bool__(self) -> bool:
        """Return whether anything is recorded."""
        return self._root is not None

    def of(self, drill: Drill) -> AbstractContextManager[None]:
        """Record while one drill is done."""
        place = NORMAL if drill.lookalike else f"{ATTACK}/{drill.techniques[0]}"
        return self.kept(place, drill.name)

    def kept(
        self, place: str, name: str, longest_s: float = _LONGEST_S
    ) -> AbstractContextManager[None]:
        """Record while something is done, into ``place/name.rec``."""
        if self._root is None:
            return nullcontext()
        return self._recorded(self._root / place / f"{name}{SUFFIX}", longest_s)

    @contextmanager
    def _recorded(self, path: Path, longest_s: float) -> Iterator[None]:
        path.parent.mkdir(exist_ok=True)
        request(self._run_dir, "record_start", path=str(path), for_s=longest_s)
        try:
            yield
        finally:
            request(self._run_dir, "record_stop")
