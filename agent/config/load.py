"""Reads the main file and its drop-ins into `Settings`, and reports every mistake at once."""

import dataclasses
import difflib
import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.config.positions import KeyPath, positions
from agent.config.schema import (
    SECTIONS,
    Learning,
    Match,
    Origin,
    Paths,
    Settings,
    Steps,
    Upload,
    Workload,
)
from agent.errors import ConfigError

DEFAULT_FILE: Final = Path("/etc/inferward/agent.toml")
DROP_INS: Final = "agent.d"

_SYNTAX_LINE: Final = re.compile(r"\s*\(at line (\d+), column \d+\)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One mistake: what is wrong with which value of which key, and where it stands."""

    key: str
    value: object
    words: str
    origin: Origin

    def __str__(self) -> str:
        """Write it as one line."""
        if not self.key:
            return f"{self.origin}: {self.words}"
        shown = "" if self.value is None else f" = {_shown(self.value)}"
        return f"{self.origin}: {self.key}{shown} {self.words}"


class SettingsError(ConfigError):
    """The configuration has mistakes: {0}."""

    def __init__(self, problems: Iterable[Problem], paths: Paths) -> None:
        """Keep every problem, and the paths as far as they are right, for `agent config check`."""
        self.problems = tuple(problems)
        self.paths = paths
        super().__init__("\n".join(str(problem) for problem in self.problems))

    def __str__(self) -> str:
        """Return a sentence that counts the mistakes, then one line each."""
        count = len(self.problems)
        noun = "mistake" if count == 1 else "mistakes"
        return f"The configuration has {count} {noun}:\n{self.args[0]}"


def load(path: Path | None = None) -> Settings:
    """Read `path` (None: the default file, which may be missing) and the drop-ins beside it.

    Drop-ins are `agent.d/*.toml`, taken by name; a later value wins, `[[workload]]` tables add up.

    Raises:
        SettingsError: Something in any of the files is wrong, or `path` cannot be read.
    """
    main = DEFAULT_FILE if path is None else path
    files = sorted((main.parent / DROP_INS).glob("*.toml"))
    if path is not None or main.exists():
        files.insert(0, main)
    reading = _Reading()
    for file in files:
        reading.take(file)
    return reading.settings()


class _Reading:
    """What the files said so far."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []
        self.tables: dict[str, dict[str, Any]] = {name: {} for name in SECTIONS}
        self.workloads: list[tuple[dict[str, Any], Origin]] = []
        self.origins: dict[str, Origin] = {}

    def take(self, file: Path) -> None:
        """Add one file."""
        try:
            text = file.read_text(encoding="utf-8")
            lines = positions(text)
            content = tomllib.loads(text)
        except OSError as error:
            self._refuse("", None, f"cannot be read: {error.strerror}", Origin(file, 1))
        except UnicodeDecodeError:
            self._refuse("", None, "is not UTF-8", Origin(file, 1))
        except tomllib.TOMLDecodeError as error:
            found = _SYNTAX_LINE.search(str(error))
            line = int(found[1]) if found else _count(text)
            self._refuse(
                "", None, f"is not TOML: {_SYNTAX_LINE.sub('', str(error))}", Origin(file, line)
            )
        else:
            _File(self, file, lines).tables(content)

    def settings(self) -> Settings:
        """Build the settings.

        Raises:
            SettingsError: Any file had a mistake.
        """
        sections = {name: kind(**self.tables[name]) for name, kind in SECTIONS.items()}
        workloads = tuple(self._workload(table, sections) for table, _ in self.workloads)
        self._across(workloads)
        if self.problems:
            raise SettingsError(self.problems, sections["paths"])
        return Settings(**sections, workload=workloads, origins=self.origins)

    def _workload(self, table: dict[str, Any], sections: dict[str, Any]) -> Workload:
        own = dict(table)
        match = Match(**own.pop("match", {}))
        for name in ("learning", "steps", "upload"):
            if (overrides := own.pop(name, None)) is not None:
                own[name] = dataclasses.replace(sections[name], **overrides)
        return Workload(**own, match=match)

    def _across(self, workloads: tuple[Workload, ...]) -> None:
        """Check what no key alone can tell."""
        first: dict[str, Origin] = {}
        for index, (workload, (_, origin)) in enumerate(
            zip(workloads, self.workloads, strict=True)
        ):
            place = f"workload.{index}"
            if not workload.name:
                if f"{place}.name" not in self._refused():
                    self._refuse(f"{place}.name", None, "is missing", origin)
            elif workload.name in first:
                self._refuse(
                    f"{place}.name",
                    workload.name,
                    f"is already used at {first[workload.name]}",
                    origin,
                )
            first.setdefault(workload.name, origin)
            if workload.match == Match() and not any(
                name.startswith(f"{place}.match") for name in self._refused()
            ):
                self._refuse(
                    f"{place}.match",
                    None,
                    "is missing: name at least one of " + _names(Match),
                    origin,
                )
        ship = self.tables["ship"]
        if (
            ship.get("endpoints")
            and not ship.get("central_key")
            and "ship.central_key" not in self._refused()
        ):
            words = "needs ship.central_key: without it, any server could pose as central"
            self._refuse("ship.endpoints", ship["endpoints"], words, self.origins["ship.endpoints"])

    def _refused(self) -> set[str]:
        return {problem.key for problem in self.problems}

    def _refuse(self, name: str, value: object, words: str, origin: Origin) -> None:
        self.problems.append(Problem(name, value, words, origin))


class _File:
    """One parsed file on its way into a reading."""

    def __init__(self, reading: _Reading, file: Path, lines: Mapping[KeyPath, int]) -> None:
        self.reading = reading
        self.file = file
        self.lines = lines

    def tables(self, content: Mapping[str, Any]) -> None:
        for name, value in content.items():
            if name == "workload":
                self._workloads(value)
            elif name in SECTIONS:
                self.reading.tables[name].update(self._table(SECTIONS[name], value, (name,), name))
            else:
                self._unknown(name, name, (*SECTIONS, "workload"), (name,), "table")

    def _workloads(self, value: object) -> None:
        if not isinstance(value, list):
            self._refuse(
                "workload", value, "must be an array of tables: write [[workload]]", ("workload",)
            )
            return
        for index, entry in enumerate(value):
            path: KeyPath = ("workload", index)
            place = f"workload.{len(self.reading.workloads)}"
            self.reading.workloads.append(
                (self._table(Workload, entry, path, place), self._origin(path))
            )

    def _table(self, kind: type, value: object, path: KeyPath, place: str) -> dict[str, Any]:
        """Check one table; return its good values by field name."""
        if not isinstance(value, dict):
            self._refuse(place, value, "must be a table", path)
            return {}
        good: dict[str, Any] = {}
        fields = {field.name: field for field in dataclasses.fields(kind)}
        nested = (
            {"match": Match, "learning": Learning, "steps": Steps, "upload": Upload}
            if kind is Workload
            else {}
        )
        for name, entry in value.items():
            here, dotted = (*path, name), f"{place}.{name}"
            if name not in fields:
                self._unknown(dotted, name, tuple(fields), here, "key")
            elif name in nested:
                good[name] = self._table(nested[name], entry, here, dotted)
            else:
                try:
                    good[name] = fields[name].metadata["check"](entry)
                    self.reading.origins[dotted] = self._origin(here)
                except ValueError as error:
                    self._refuse(dotted, entry, str(error), here)
        return good

    def _unknown(
        self, dotted: str, name: str, known: tuple[str, ...], path: KeyPath, noun: str
    ) -> None:
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(known)}"
        self._refuse(dotted, None, f"is no known {noun}; {hint}", path)

    def _refuse(self, dotted: str, value: object, words: str, path: KeyPath) -> None:
        self.reading.problems.append(Problem(dotted, value, words, self._origin(path)))

    def _origin(self, path: KeyPath) -> Origin:
        return Origin(self.file, self.lines[path])


def _names(kind: type) -> str:
    return ", ".join(field.name for field in dataclasses.fields(kind))


def _count(text: str) -> int:
    return text.rstrip("\n").count("\n") + 1


def _shown(value: object) -> str:
    """Write a value as TOML does, near enough to recognise it."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    return str(value)
