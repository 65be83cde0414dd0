"""Where in a TOML text each key stands; the standard library's parser does not say.

Reads text that `tomllib` has accepted, so it only has to find its way, not to
judge. A key is a path of table names and, inside arrays, indices:
("workload", 1, "match", "port").
"""

import re
import tomllib
from typing import Final, TypeAlias

KeyPath: TypeAlias = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)+")
_SPACE: Final = re.compile(r"[ \t]+")
_STRING: Final = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}(?!")|\'\'\'.*?\'{3,5}(?!\')|"(?:[^"\\]|\\.)*"|\'[^\']*\'', re.DOTALL
)
_BARE_KEY: Final = re.compile(r"[A-Za-z0-9_-]+")
_BARE_VALUE: Final = re.compile(r"[^,\]}#\r\n]+")


def positions(text: str) -> dict[KeyPath, int]:
    """Return the line, from 1, on which each table and key of `text` first stands.

    Raises:
        ValueError: `text` is not TOML.
    """
    tomllib.loads(text)
    return _Reader(text).document()


class _Reader:
    """A cursor over one text, and what it has passed."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.lines: dict[KeyPath, int] = {}
        self.arrays: dict[KeyPath, int] = {}

    def document(self) -> dict[KeyPath, int]:
        table: KeyPath = ()
        self._skip(_BLANK)
        while self.at < len(self.text):
            if self._peek("["):
                table = self._header()
            else:
                self._pair(table)
            self._skip(_BLANK)
        return self.lines

    def _header(self) -> KeyPath:
        is_array = self._peek("[[")
        line = self._line()
        self.at += 2 if is_array else 1
        names = self._key()
        self.at += 2 if is_array else 1
        path: KeyPath = ()
        for name in names:
            path = self._last(path, name)
        if is_array:
            array = path[:-1] if path in self.lines and isinstance(path[-1], int) else path
            index = self.arrays.get(array, -1) + 1
            self.arrays[array] = index
            path = (*array, index)
            self.lines.setdefault(array, line)
        self.lines.setdefault(path, line)
        return path

    def _last(self, path: KeyPath, name: str) -> KeyPath:
        """Step into `name`; a name of an array of tables means its latest table."""
        step = (*path, name)
        return (*step, self.arrays[step]) if step in self.arrays else step

    def _pair(self, table: KeyPath) -> None:
        line = self._line()
        path = table
        for name in self._key():
            path = (*path, name)
            self.lines.setdefault(path, line)
        self.at += 1  # the equals sign
        self._skip(_SPACE)
        self._value(path)

    def _key(self) -> list[str]:
        """Read a dotted key, and the space around it."""
        names = []
        while True:
            self._skip(_SPACE)
            names.append(self._name())
            self._skip(_SPACE)
            if not self._peek("."):
                return names
            self.at += 1

    def _name(self) -> str:
        if quoted := _STRING.match(self.text, self.at):
            self.at = quoted.end()
            (name,) = tomllib.loads(f"{quoted[0]}=0")
            return str(name)
        bare = _BARE_KEY.match(self.text, self.at)
        assert bare is not None, "tomllib accepted a key that is none"  # noqa: S101  (an invariant)
        self.at = bare.end()
        return bare[0]

    def _value(self, path: KeyPath) -> None:
        if self._peek("["):
            self._array(path)
        elif self._peek("{"):
            self._inline(path)
        elif string := _STRING.match(self.text, self.at):
            self.at = string.end()
        else:
            self._skip(_BARE_VALUE)

    def _array(self, path: KeyPath) -> None:
        self.at += 1
        index = 0
        self._skip(_BLANK)
        while not self._peek("]"):
            self.lines[(*path, index)] = self._line()
            self._value((*path, index))
            index += 1
            self._separator()
        self.at += 1

    def _inline(self, path: KeyPath) -> None:
        self.at += 1
        self._skip(_BLANK)
        while not self._peek("}"):
            self._pair(path)
            self._separator()
        self.at += 1

    def _separator(self) -> None:
        self._skip(_BLANK)
        if self._peek(","):
            self.at += 1
            self._skip(_BLANK)

    def _peek(self, what: str) -> bool:
        return self.text.startswith(what, self.at)

    def _skip(self, pattern: re.Pattern[str]) -> None:
        if found := pattern.match(self.text, self.at):
            self.at = found.end()

    def _line(self) -> int:
        return self.text.count("\n", 0, self.at) + 1
