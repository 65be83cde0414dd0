"""What this kernel takes of an object: its programs one by one, and the fields they read.

Nothing is attached, and nothing stays.
"""

from __future__ import annotations

import errno
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from probes import libbpf
from probes.errors import ProbeError
from probes.loader import OBJECT, has_hook

if TYPE_CHECKING:
    from pathlib import Path


@dataclass(frozen=True, slots=True)
class Capability:
    """Whether this kernel takes one program, proved by loading it.

    Attributes:
        program: Its name in the object.
        hook: Its section: "tp_btf/sys_exit".
        works: Whether the kernel took it.
        words: What the kernel said.
        instructions: Those the verifier processed; 0 where refused, and before Linux 5.16.
        details: libbpf's last lines where it was refused: the verifier's reason.
    """

    program: str
    hook: str
    works: bool
    words: str
    instructions: int = 0
    details: tuple[str, ...] = ()


def probe_capabilities(path: Path = OBJECT) -> list[Capability]:
    """Loads every program, attaches nothing, and says what the kernel answered to each.

    A refused program ends a load: those before it were taken, those after it are tried again.
    EPERM is said of a kind of program and not of one, so it holds for the rest of its kind.
    """
    opened = libbpf.Object(path)
    sections = {name: opened.section(name) for name in opened.programs}
    opened.close()
    # A tracepoint's twin has the name by which this kernel calls it.
    waiting = [name for name, section in sections.items() if has_hook(section)]
    found: dict[str, Capability] = {}
    taken: list[str] = []
    counts: dict[str, int] = {}
    while waiting:
        try:
            counts = _verified(path, waiting)
            taken += waiting
            break
        except _RefusalError as refusal:
            error, refused = refusal.error, refusal.programs
        if error.number == errno.EPERM:
            kind = sections[refused[0]].partition("/")[0] + "/"
            refused = [name for name in waiting if sections[name].startswith(kind)]
        for name in refused:
            found[name] = Capability(
                name, sections[name], works=False, words=error.reason, details=error.details
            )
        at = waiting.index(refused[0])
        taken += waiting[:at]
        waiting = [name for name in waiting[at:] if name not in refused]
    if len(counts) < len(taken):  # a refusal took them along: once more, together
        counts = _verified(path, taken)
    for name in taken:
        found[name] = Capability(name, sections[name], True, "loads", counts[name])  # noqa: FBT003
    return [found[name] for name in sections if name in found]


class _RefusalError(Exception):
    """The kernel refused one of several programs; all of them, where no one is to blame."""

    def __init__(self, programs: list[str], error: ProbeError) -> None:
        super().__init__(programs)
        self.programs = programs
        self.error = error


def _only(path: Path, programs: list[str]) -> libbpf.Object:
    opened = libbpf.Object(path)
    for other in set(opened.programs) - set(programs):
        opened.skip(other)
    return opened


def _verified(path: Path, programs: list[str]) -> dict[str, int]:
    """Load these programs; instructions that the verifier processed, by program."""
    opened = _only(path, programs)
    try:
        opened.load()
        return {name: opened.verified(name) for name in programs}
    except ProbeError as error:
        blamed = opened.refused()
        raise _RefusalError([blamed] if blamed in programs else programs, error) from error
    finally:
        opened.close()


def missing_fields(path: Path = OBJECT, types: Path | None = None) -> tuple[str, ...]:
    """Kernel fields that the probes read, without asking, and a kernel's types do not have.

    No load complains of them before the poisoned instruction is reached.

    Args:
        path: The object.
        types: BTF of another kernel; None: the running one.

    Returns:
        "function: struct.field" of each.
    """
    opened = libbpf.Object(path, types)
    for name in opened.programs:
        if types is None and not has_hook(opened.section(name)):
            opened.skip(name)
    with suppress(ProbeError):  # types are fitted to all programs before the first is verified
        opened.load()
    missing = opened.unresolved()
    opened.close()
    return missing
