"""What the TOML beside an operator probe's C file says, every mistake with its line."""

# ruff: noqa: RUF009  (`key` is `dataclasses.field` with a check and words)

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.config import Origin, Problem, checks
from agent.config.positions import KeyPath, positions
from agent.config.schema import key
from agent.errors import ConfigError

LEVELS: Final = ("info", "low", "medium", "high", "critical")
KINDS: Final = ("kprobe", "kretprobe", "tracepoint", "raw_tracepoint", "uprobe", "uretprobe")
USER_KINDS: Final = ("uprobe", "uretprobe")

_IDENTIFIER: Final = checks.text(r"[A-Za-z_]\w*", "a name as C has them")
_SYMBOL: Final = checks.text(r"[\w.:@$]+", "a symbol, or category:event of a tracepoint")
_LIBRARY: Final = checks.text(r"[\w.+-]+", 'the name of a library file, such as "libssl.so.3"')
_PATTERN: Final = checks.text(r"[^\0]+", "the name of a workload, * and ? allowed")
_SYNTAX_LINE: Final = re.compile(r"\s*\(at line (\d+), column \d+\)")


class DeclarationError(ConfigError):
    """The declaration of an operator probe has mistakes: {0}."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Keep every problem."""
        self.problems = problems
        super().__init__("; ".join(str(problem) for problem in problems))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """What the members of the C struct mean; BCC itself knows their names and types."""

    item: tuple[str, ...] = key(
        (), checks.each(_IDENTIFIER), "members that make an item's text, in this order"
    )
    sum: tuple[str, ...] = key((), checks.each(_IDENTIFIER), "members that are added up")
    pid: str = key("pid", _IDENTIFIER, "member with the process (thread group)")
    time: str | None = key(
        None, _IDENTIFIER, "member with bpf_ktime_get_ns(); not given: when it was read"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Attach:
    """One place where one function of the C file runs."""

    kind: str = key("", checks.choice(*KINDS), " | ".join(KINDS))
    function: str = key("", _IDENTIFIER, "in the C file")
    symbol: str = key("", _SYMBOL, "of the kernel, the tracepoint or the binary")
    library: str | None = key(
        None, _LIBRARY, "of uprobes: sought in this host and in every watched process"
    )
    binary: Path | None = key(
        None, checks.path, "of uprobes: also as each watched process sees this path"
    )
    optional: bool = key(False, checks.flag, "do without it where the symbol is not there")  # noqa: FBT003  (a default)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """One operator probe."""

    description: str = key("", checks.text(r"[^\n]+", "one line"), "one line for status")
    enabled: bool = key(True, checks.flag, "false: known, not run")  # noqa: FBT003  (a default)
    output: str = key("events", _IDENTIFIER, "table of BPF_PERF_OUTPUT or BPF_RINGBUF_OUTPUT")
    level: str = key("low", checks.choice(*LEVELS), "of an item a guarded workload never showed")
    workloads: tuple[str, ...] = key(
        ("*",), checks.each(_PATTERN), "whose events are taken; * and ? allowed"
    )
    rate: int = key(
        2000, checks.integer(1, 1_000_000), "events a second; above it for 3 s it is switched off"
    )
    fields: Fields = field(default=Fields(), metadata={"words": "meaning of the struct's members"})
    attach: tuple[Attach, ...] = field(
        default=(), metadata={"words": "where it runs; none: as the C file's own macros say"}
    )


def parse(file: Path, text: str) -> Declaration:
    """Read a declaration.

    Raises:
        DeclarationError: With every mistake.
    """
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        found = _SYNTAX_LINE.search(str(error))
        line = int(found[1]) if found else text.rstrip("\n").count("\n") + 1
        words = f"is not TOML: {_SYNTAX_LINE.sub('', str(error))}"
        raise DeclarationError((Problem("", None, words, Origin(file, line)),)) from error
    reading = _Reading(file, positions(text))
    declared = reading.declaration(content)
    if reading.problems:
        raise DeclarationError(tuple(sorted(reading.problems, key=lambda one: one.origin.line)))
    return declared


class _Reading:
    """One file on its way into a declaration."""

    def __init__(self, file: Path, lines: Mapping[KeyPath, int]) -> None:
        self.problems: list[Problem] = []
        self._file = file
        self._lines = lines

    def declaration(self, content: dict[str, Any]) -> Declaration:
        plain = {k: v for k, v in content.items() if k not in {"fields", "attach"}}
        good = self._table(Declaration, plain, ())
        if not content.get("description"):
            self._refuse("description", None, "is missing", ())
        fields = Fields(**self._table(Fields, content.get("fields", {}), ("fields",)))
        if not fields.item and not self._refused("fields.item"):
            words = "is missing: name the members that make an item's text"
            self._refuse("fields.item", None, words, ("fields",))
        return Declaration(**good, fields=fields, attach=tuple(self._attach(content)))

    def _attach(self, content: dict[str, Any]) -> Iterator[Attach]:
        entries = content.get("attach", [])
        if not isinstance(entries, list):
            self._refuse("attach", None, "must be an array: write [[attach]]", ("attach",))
            return
        for index, entry in enumerate(entries):
            path: KeyPath = ("attach", index)
            one = Attach(**self._table(Attach, entry, path))
            self._whole(one, path)
            yield one

    def _whole(self, one: Attach, path: KeyPath) -> None:
        """Check what no key alone can tell."""
        dotted = ".".join(map(str, path))
        for name in ("kind", "function", "symbol"):
            if not getattr(one, name) and not self._refused(f"{dotted}.{name}"):
                self._refuse(f"{dotted}.{name}", None, "is missing", path)
        places = [name for name in ("library", "binary") if getattr(one, name)]
        if one.kind in USER_KINDS and len(places) != 1 and not self._refused(dotted):
            self._refuse(dotted, None, "needs a library or a binary, one of them", path)
        if one.kind and one.kind not in USER_KINDS and places:
            words = "is of uprobe and uretprobe alone"
            self._refuse(f"{dotted}.{places[0]}", None, words, (*path, places[0]))
        if one.kind == "tracepoint" and ":" not in one.symbol and one.symbol:
            words = "must be category:event, such as sched:sched_process_exec"
            self._refuse(f"{dotted}.symbol", one.symbol, words, (*path, "symbol"))

    def _table(self, kind: type, value: object, path: KeyPath) -> dict[str, Any]:
        """Check one table; return its good values."""
        if not isinstance(value, dict):
            self._refuse(".".join(map(str, path)), value, "must be a table", path)
            return {}
        good: dict[str, Any] = {}
        known = {one.name: one for one in dataclasses.fields(kind)}
        for name, entry in value.items():
            dotted = ".".join(map(str, (*path, name)))
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
                hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
                self._refuse(dotted, None, f"is no known key; {hint}", (*path, name))
                continue
            try:
                good[name] = known[name].metadata["check"](entry)
            except ValueError as error:
                self._refuse(dotted, entry, str(error), (*path, name))
        return good

    def _refused(self, dotted: str) -> bool:
        return any(problem.key.startswith(dotted) for problem in self.problems)

    def _refuse(self, dotted: str, value: object, words: str, path: KeyPath) -> None:
        line = self._lines.get(path, 1)
        self.problems.append(Problem(dotted, value, words, Origin(self._file, line)))
