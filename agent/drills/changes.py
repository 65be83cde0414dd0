"""What attackers and servers do to names and attributes of files; all of it is put back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from agent.drills.place import Place


def model_moved(place: Place) -> None:
    """Rename the served model away, and back."""
    away = place.model.with_name("taken.bin")
    place.model.rename(away)
    away.rename(place.model)


def made_executable(place: Place) -> None:
    """Make a file that it just wrote executable."""
    path = place.directory / "run" / "helper"
    path.touch(exist_ok=False)
    path.chmod(0o755)
    path.unlink()


def moved_into_place(place: Place) -> None:
    """Write a harmless name, and rename it to one that lets somebody log in."""
    harmless, path = place.home / "notes.txt", place.home / ".ssh" / "authorized_keys"
    harmless.touch(exist_ok=False)
    harmless.rename(path)
    path.unlink()


def atomic_save(place: Place) -> None:
    """Save its state as careful programs do: beside it, then in its place."""
    fresh, kept = place.logs / "state.json.tmp", place.logs / "state.json"
    for _ in range(3):
        fresh.write_text("{}", "utf-8")
        fresh.replace(kept)
    kept.unlink()


ATTACKS: Final[dict[str, Callable[[Place], None]]] = {
    "model-moved": model_moved,
    "made-executable": made_executable,
    "moved-into-place": moved_into_place,
}
LOOKALIKES: Final[dict[str, Callable[[Place], None]]] = {"atomic-save": atomic_save}
