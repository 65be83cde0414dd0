"""What an engine file may say, checked at load: every mistake in every file at once."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, get_type_hints

POINTS_MAX = 100
ROLES = ("frontend", "engine", "worker", "stub", "runner", "controller", "helper")
_NAME = re.compile(r"[a-z][a-z0-9-]*")


class RuleError(Exception):
    """These engine rules cannot be used: {0}."""

    def __str__(self) -> str:
        return (self.__doc__ or "").format("; ".join(map(str, self.args)))


@dataclass(frozen=True, slots=True)
class When:
    """Conditions on one process; all that are given must hold. Of a list, one entry must.

    `exe` and `library` come from the kernel; `program`, `cmdline` and `title` are what the process
    says of itself and count only beside an executable that can be what they claim; `imports` is
    read from the script's file as it is now.
    """

    exe: tuple[str, ...] = ()  # globs on the executable's name
    exe_path: str = ""  # regular expression on the executable's path
    program: tuple[str, ...] = ()  # globs on the module or script an interpreter runs
    arguments: str = ""  # regular expression on what follows the program
    cmdline: str = ""  # regular expression on all arguments, joined by spaces
    title: str = ""  # regular expression on the first argument, where titles are written
    imports: tuple[str, ...] = ()  # modules that the script an interpreter runs imports by name
    library: tuple[str, ...] = ()  # regular expressions on the names of mapped files
    file: tuple[str, ...] = ()  # regular expressions on the paths of open or mapped files
    device: tuple[str, ...] = ()  # globs on the paths of open device files
    unit: str = ""  # regular expression on the systemd unit
    image: tuple[str, ...] = ()  # globs on the container image's name
    port: tuple[int, ...] = ()  # TCP ports it listens on
    listens: bool = False  # it listens on any TCP port


@dataclass(frozen=True, slots=True)
class Clue:
    """One way to recognise an engine, worth some points of the 50 that recognise it."""

    points: int
    why: str
    when: When
    shared: bool = False  # counts for every engine that has a clue of its own

    @property
    def circumstance(self) -> bool:
        """Whether it says only where a process runs: a shell in a server's image is no server."""
        when = self.when
        return not (
            when.exe or when.program or when.imports or when.library or when.file or when.device
        )


@dataclass(frozen=True, slots=True)
class Role:
    """What a process inside the workload does."""

    role: str
    when: When


@dataclass(frozen=True, slots=True)
class LookAlike:
    """A legitimate act that looks like an attack, and what tells them apart."""

    what: str
    kind: str  # exec, file, write, library, peer, listen, endpoint
    item: tuple[str, ...]  # globs
    tells: str
    role: str = ""
    phase: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A management request: what it changes about the server."""

    method: str
    path: str  # route template
    effect: str


@dataclass(frozen=True, slots=True)
class Posture:
    """A weakness of how it is run that needs no attack to be seen."""

    finding: str
    why: str
    cmdline: str = ""  # regular expression; found when it matches, shown: its group `seen`, or all
    fix: str = ""  # where another thing helps than to leave out what was shown
    wildcard_port: tuple[int, ...] = ()  # found when one of these listens on every address


@dataclass(frozen=True, slots=True)
class Advisory:
    """A published weakness of some versions of a distribution: `since` <= version < `fixed`."""

    id: str
    package: str
    fixed: str
    what: str
    since: str = ""


@dataclass(frozen=True, slots=True)
class Engine:
    """One engine file."""

    name: str
    title: str
    packages: tuple[str, ...] = ()  # distributions whose metadata tells the version
    ports: tuple[int, ...] = ()  # serving ports by default, the main one first
    internal_ports: tuple[int, ...] = ()  # management and peer ports: never for strangers
    port_options: tuple[str, ...] = ("--port",)  # flags that move the main port
    caches: tuple[str, ...] = ()  # path globs it writes code and data to, "~" is its home
    adopts_parent: tuple[str, ...] = ()  # executables whose parent process belongs to the server
    one_per_host: bool = False  # its processes are one workload even without a common parent
    clue: tuple[Clue, ...] = ()
    role: tuple[Role, ...] = ()
    lookalike: tuple[LookAlike, ...] = ()
    endpoint: tuple[Endpoint, ...] = ()
    posture: tuple[Posture, ...] = ()
    advisory: tuple[Advisory, ...] = ()


@dataclass(frozen=True, slots=True)
class Evidence:
    """Why a process was recognised."""

    points: int
    why: str
    pid: int


@dataclass(slots=True)
class _Check:
    """Builds one file's values and keeps every mistake."""

    file: str
    problems: list[str] = field(default_factory=list)

    def build(self, kind: type[Any], table: Mapping[str, Any], place: str) -> Any:  # noqa: ANN401 (one of the classes above)
        """Return a `kind` from a TOML table, or None after noting what is wrong with it."""
        known = {item.name: item for item in fields(kind)}
        hints = get_type_hints(kind)
        before = len(self.problems)
        for key in table.keys() - known.keys():
            self.note(place, f"unknown key {key}")
        values: dict[str, Any] = {}
        for key, value in table.items():
            if key in known:
                values[key] = self._value(hints[key], value, f"{place}.{key}".lstrip("."))
        try:
            made = kind(**values)
        except TypeError:
            missing = [key for key, item in known.items() if key not in values and _required(item)]
            self.note(place, f"missing {', '.join(missing)}")
            return None
        return made if len(self.problems) == before else None

    def note(self, place: str, problem: str) -> None:
        self.problems.append(f"{self.file}: {place + ': ' if place else ''}{problem}")

    def _value(self, hint: Any, value: Any, place: str) -> Any:  # noqa: ANN401 (any TOML value)
        if hint is When:
            return self._when(value, place)
        if hint in {str, int, bool}:
            if type(value) is not hint:
                self.note(place, f"should be {hint.__name__}")
            elif place.endswith((".cmdline", ".arguments", ".title", ".unit", ".exe_path")):
                self._pattern(value, place)
            return value
        inner = hint.__args__[0]
        if not isinstance(value, list):
            self.note(place, "should be a list")
            return ()
        if inner in {str, int}:
            if not all(type(item) is inner for item in value):
                self.note(place, f"should hold {inner.__name__} only")
            elif place.endswith((".library", ".file")):
                for item in value:
                    self._pattern(item, place)
            return tuple(value)
        return tuple(self.build(inner, item, f"{place}[{n}]") for n, item in enumerate(value))

    def _when(self, value: Any, place: str) -> When | None:  # noqa: ANN401 (any TOML value)
        if not isinstance(value, dict) or not value:
            self.note(place, "should be a table with at least one condition")
            return None
        made: When | None = self.build(When, value, place)
        hints_only = {"program", "cmdline", "title", "arguments"}
        if made is not None and value.keys() <= hints_only - {"program"}:
            self.note(place, "what a process says of itself needs an exe beside it")
        return made

    def _pattern(self, value: str, place: str) -> None:
        try:
            re.compile(value)
        except re.error as error:
            self.note(place, f"not a regular expression: {error}")


def _required(item: Any) -> bool:  # noqa: ANN401 (dataclasses.Field is generic in nothing useful)
    return "MISSING" in repr(item.default) and "MISSING" in repr(item.default_factory)


def load(directories: Sequence[Path]) -> dict[str, Engine]:
    """Read every `*.toml` of these directories; a later file replaces an engine of the same name.

    Raises:
        RuleError: With every mistake in every file.
    """
    engines: dict[str, Engine] = {}
    problems: list[str] = []
    for path in (path for directory in directories for path in sorted(directory.glob("*.toml"))):
        check = _Check(path.name)
        try:
            table = tomllib.loads(path.read_text("utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(f"{path.name}: {error}")
            continue
        engine: Engine | None = check.build(Engine, table, "")
        if engine is not None:
            _judge(engine, check)
            engines[engine.name] = engine
        problems += check.problems
    if problems:
        raise RuleError(*problems)
    return engines


def _judge(engine: Engine, check: _Check) -> None:
    """Note what is well formed and still wrong."""
    if not _NAME.fullmatch(engine.name):
        check.note("name", "should be lower case letters, digits and hyphens")
    if not engine.clue:
        check.note("clue", "an engine without a clue is never recognised")
    for n, clue in enumerate(engine.clue):
        if not 0 < clue.points <= POINTS_MAX:
            check.note(f"clue[{n}].points", f"should be from 1 to {POINTS_MAX}")
    for n, role in enumerate(engine.role):
        if role.role not in ROLES:
            check.note(f"role[{n}].role", f"should be one of {', '.join(ROLES)}")
    for port in (*engine.ports, *engine.internal_ports):
        if not 0 < port < 1 << 16:
            check.note("ports", f"{port} is no TCP port")
