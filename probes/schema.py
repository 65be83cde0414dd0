"""numpy dtypes and constants from the object's own BTF: the one definition, read not copied.

Source of the format: kernel Documentation/bpf/btf.rst.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from probes import libbpf
from probes.errors import ProbeError

if TYPE_CHECKING:
    from pathlib import Path

_MAGIC: Final = 0xEB9F
_INT, _PTR, _ARRAY, _STRUCT, _UNION, _ENUM = 1, 2, 3, 4, 5, 6
_FUNC, _FUNC_PROTO, _VAR, _DATASEC, _DECL_TAG, _ENUM64 = 12, 13, 14, 15, 17, 19
_TRANSPARENT: Final = (8, 9, 10, 11, 18)  # typedef, volatile, const, restrict, type tag
_EXTRA: Final = {_INT: 4, _ARRAY: 12, _VAR: 4, _DECL_TAG: 4}
_PER_MEMBER: Final = {_STRUCT: 12, _UNION: 12, _ENUM: 8, _FUNC_PROTO: 8, _DATASEC: 12, _ENUM64: 12}
_CHARACTER: Final = "char"
_BITFIELD: Final = 1 << 31


@dataclass(frozen=True, slots=True)
class _Type:
    name: str
    kind: int
    size_or_type: int
    length: int
    flagged: bool
    extra: bytes


class Schema:
    """The types of one object file, by name."""

    def __init__(self, raw: bytes) -> None:
        magic, _, _, header, type_at, type_bytes, text_at, _ = struct.unpack_from("<HBBIIIII", raw)
        if magic != _MAGIC:
            raise ProbeError("read BTF", "not BTF of this byte order")
        self._text = raw[header + text_at :]
        self._types = [_Type("void", 0, 0, 0, flagged=False, extra=b"")]
        at, end = header + type_at, header + type_at + type_bytes
        while at < end:
            at = self._parse(raw, at)
        self._dtypes: dict[str, np.dtype[np.void]] = {}
        self._by_name = {(t.kind, t.name): i for i, t in enumerate(self._types) if t.name}

    def _parse(self, raw: bytes, at: int) -> int:
        name, info, size_or_type = struct.unpack_from("<III", raw, at)
        kind, length = (info >> 24) & 0x1F, info & 0xFFFF
        extra = _EXTRA.get(kind, 0) + length * _PER_MEMBER.get(kind, 0)
        at += 12
        self._types.append(
            _Type(
                self._string(name),
                kind,
                size_or_type,
                length,
                bool(info & _BITFIELD),
                raw[at : at + extra],
            )
        )
        return int(at + extra)

    def _string(self, offset: int) -> str:
        return self._text[offset : self._text.index(b"\0", offset)].decode()

    def enum(self, name: str) -> dict[str, int]:
        """Constant names and values of an enum.

        Raises:
            ProbeError: the object has no such enum.
        """
        entry = self._find(_ENUM, name)
        pairs = struct.iter_unpack("<Ii", entry.extra)
        return {self._string(offset): value for offset, value in pairs}

    def limit(self, name: str) -> int:
        """One constant of `enum limit`."""
        return int(self.enum("limit")[name])

    def dtype(self, name: str) -> np.dtype[np.void]:
        """The numpy dtype of a struct, little endian, byte for byte.

        Raises:
            ProbeError: no such struct, or one with padding nobody named.
        """
        if name not in self._dtypes:
            self._dtypes[name] = np.dtype(self._struct(self._find(_STRUCT, name)))
        return self._dtypes[name]

    def variable(self, section: str, name: str) -> tuple[int, int]:
        """Offset and size in bytes of a global in a data section."""
        entry = self._find(_DATASEC, section)
        for index, offset, size in struct.iter_unpack("<III", entry.extra):
            if self._types[index].name == name:
                return offset, size
        raise ProbeError(f"find setting {name}", f"not in {section}")

    def form(self, number: int) -> str:
        """How a value of this type lies in memory, to be compared; "" for none.

        Args:
            number: Of the type, in this BTF.
        """
        return str(np.dtype(self._format(number))) if number else ""

    def structs(self, ending: str, size: int) -> list[str]:
        """Names of the structs of this many bytes whose name ends so, sorted."""
        found = ((t.kind, t.name, t.size_or_type) for t in self._types)
        return sorted(
            n for kind, n, of in found if (kind, of) == (_STRUCT, size) and n.endswith(ending)
        )

    def _find(self, kind: int, name: str) -> _Type:
        index = self._by_name.get((kind, name))
        if index is None:
            raise ProbeError(f"find {name}", "the object's BTF does not define it")
        return self._types[index]

    def _struct(self, entry: _Type) -> Any:  # noqa: ANN401 - numpy's own dtype grammar
        names, formats, offsets, end = [], [], [], 0
        for name, index, bits in struct.iter_unpack("<III", entry.extra):
            offset = (bits & 0xFFFFFF) // 8 if entry.flagged else bits // 8
            if offset != end:
                raise ProbeError(
                    f"use {entry.name}", f"unnamed padding before {self._string(name)}"
                )
            names.append(self._string(name))
            formats.append(self._format(index))
            offsets.append(offset)
            end = offset + np.dtype(formats[-1]).itemsize
        if end != entry.size_or_type:
            raise ProbeError(f"use {entry.name}", "unnamed padding at its end")
        return {"names": names, "formats": formats, "offsets": offsets, "itemsize": end}

    def _format(self, index: int) -> Any:  # noqa: ANN401 - numpy's own dtype grammar
        entry = self._types[index]
        while entry.kind in _TRANSPARENT:
            entry = self._types[entry.size_or_type]
        if entry.kind == _ARRAY:
            element, _, count = struct.unpack("<III", entry.extra)
            return self._array(element, count)
        if entry.kind == _STRUCT:
            return self._struct(entry)
        if entry.kind == _PTR:
            return "<u8"
        if entry.kind in (_INT, _ENUM):
            signed = entry.kind == _INT and entry.extra[3] & 1
            return f"<{'i' if signed else 'u'}{entry.size_or_type}"
        raise ProbeError(f"use {entry.name}", f"BTF kind {entry.kind} has no place in a record")

    def _array(self, element: int, count: int) -> Any:  # noqa: ANN401 - numpy's own dtype grammar
        entry = self._types[element]
        if entry.name == _CHARACTER:
            return f"S{count}"
        return (self._format(element), (count,))


@cache
def load(path: Path) -> Schema:
    """The schema of an object file; read once per process."""
    return Schema(libbpf.btf_bytes(path))
