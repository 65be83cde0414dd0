"""Callers that frame pointers skip, by the call frame information of the code itself.

A chain of frame pointers does not have the caller of a function that keeps none: at a system
call made by libc's open(), it begins with open() and goes on with the caller's caller. The
DWARF rules in `.eh_frame` (Linux Standard Base 5.0, 10.6; DWARF 5, 6.4) say how far above the
stack pointer the return address lies at that instruction.
"""

import struct
from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from mmap import mmap
from typing import Final

RSP: Final = 7  # System V ABI for x86-64, DWARF register numbers
_PT_LOAD: Final = 1
_PT_GNU_EH_FRAME: Final = 0x6474E550
_HEADER_ENCODINGS: Final = (0x1B, 0x03, 0x3B)
"""Of .eh_frame_hdr, as every linker writes it: relative pointer, count, sorted table."""

_WORD: Final = 8
_SKIPPED: Final[dict[int, str]] = {
    0x05: "uu", 0x06: "u", 0x07: "u", 0x08: "u", 0x09: "uu", 0x10: "ub", 0x11: "us", 0x14: "uu",
    0x15: "us", 0x16: "ub", 0x2E: "u",
}  # fmt: skip
"""Rules about other registers, by opcode: u and s are LEB128, b is a block."""

Rule = tuple[int, int]
"""The canonical frame address: register and offset."""

Bytes = bytes | mmap


class UnwindError(Exception):
    """Frame information of a form that this reader does not know."""


@dataclass(slots=True)
class _Cursor:
    data: Bytes
    at: int

    def take(self, form: str) -> int:
        (value,) = struct.unpack_from("<" + form, self.data, self.at)
        self.at += struct.calcsize(form)
        return int(value)

    def leb(self, *, signed: bool = False) -> int:
        value = shift = 0
        while True:
            byte = self.take("B")
            value |= (byte & 0x7F) << shift
            shift += 7
            if not byte & 0x80:
                return value - (1 << shift) if signed and byte & 0x40 else value

    def skip(self, forms: str) -> None:
        for form in forms:
            count = self.leb(signed=form == "s")
            self.at += count if form == "b" else 0


class FrameInformation:
    """Of one ELF file.

    Args:
        data: The whole file.

    Raises:
        UnwindError: It is no 64-bit ELF, or has none in the usual form.
    """

    def __init__(self, data: Bytes) -> None:
        """Find the sorted table."""
        self._data = data
        if data[:5] != b"\x7fELF\x02":
            raise UnwindError("no 64-bit ELF")
        (table,) = struct.unpack_from("<Q", data, 32)
        size, count = struct.unpack_from("<HH", data, 54)
        self._loads: list[tuple[int, int, int]] = []
        header = None
        for n in range(count):
            kind, _, offset, address, _, length = struct.unpack_from(
                "<IIQQQQ", data, table + n * size
            )
            if kind == _PT_LOAD:
                self._loads.append((offset, address, length))
            elif kind == _PT_GNU_EH_FRAME:
                header = (offset, address)
        if header is None or tuple(data[header[0] + 1 : header[0] + 4]) != _HEADER_ENCODINGS:
            raise UnwindError("no sorted table")
        self._header, self._header_address = header
        (self._count,) = struct.unpack_from("<I", data, self._header + 8)

    def address(self, place: int) -> int:
        """The linked address of a place in the file."""
        for offset, address, length in self._loads:
            if offset <= place < offset + length:
                return place - offset + address
        raise UnwindError("not loaded")

    def _place(self, address: int) -> int:
        for offset, start, length in self._loads:
            if start <= address < start + length:
                return address - start + offset
        raise UnwindError("not loaded")

    def rule(self, address: int) -> Rule:
        """Where the caller's frame begins when the code at a linked address runs."""
        entries = range(self._count)
        at = bisect_right(entries, address - self._header_address, key=self._start) - 1
        if at < 0:
            raise UnwindError("no entry")
        (relative,) = struct.unpack_from("<i", self._data, self._header + 12 + _WORD * at + 4)
        entry = _Cursor(self._data, self._place(self._header_address + relative))
        return self._entry(entry, address)

    def _start(self, entry: int) -> int:
        (start,) = struct.unpack_from("<i", self._data, self._header + 12 + _WORD * entry)
        return int(start)

    def _entry(self, entry: _Cursor, address: int) -> Rule:
        length = entry.take("I")
        end = entry.at + length
        here = entry.at
        common = _Cursor(self._data, here - entry.take("I"))
        align, common_end = self._common(common)
        linked = self.address(entry.at)
        begin = linked + entry.take("i")
        size = entry.take("I")
        if not begin <= address < begin + size:
            raise UnwindError("no entry")
        entry.at += entry.leb()  # augmentation: where exceptions go
        program = _Program(align, address - begin)
        program.run(common, common_end)
        program.run(entry, end)
        return program.rule

    @staticmethod
    def _common(common: _Cursor) -> tuple[int, int]:
        """Read a common entry up to its instructions: code alignment, and where it ends."""
        length = common.take("I")
        end = common.at + length
        common.at += 4
        if common.take("B") != 1:
            raise UnwindError("version")
        text_end = common.data.find(b"\0", common.at)
        augmentation = common.data[common.at : text_end].decode("ascii", "replace")
        common.at = text_end + 1
        align = common.leb()
        common.leb(signed=True)
        common.take("B")
        if not augmentation.startswith("z"):
            raise UnwindError("augmentation")
        after = common.leb() + common.at
        for letter in augmentation[1:]:
            if letter == "R" and common.take("B") != _HEADER_ENCODINGS[0]:
                raise UnwindError("pointer encoding")
            if letter == "P":
                common.at += 4 if common.take("B") & 0x07 == 0x03 else _WORD  # noqa: PLR2004 - DW_EH_PE_*data4
            elif letter == "L":
                common.take("B")
        common.at = after
        return align, end


class _Program:
    """Runs call frame instructions up to one instruction of the code."""

    def __init__(self, align: int, until: int) -> None:
        self.rule: Rule = (RSP, _WORD)
        self._align, self._until, self._location = align, until, 0
        self._kept: list[Rule] = []

    def run(self, code: _Cursor, end: int) -> None:
        while code.at < end and self._location <= self._until:
            operation = code.take("B")
            high, low = operation & 0xC0, operation & 0x3F
            if high == 0x40:  # noqa: PLR2004 - DW_CFA_advance_loc
                self._advance(low)
            elif high == 0x80:  # noqa: PLR2004 - DW_CFA_offset
                code.skip("u")
            elif not high:
                self._low(low, code)

    def _advance(self, delta: int) -> None:
        self._location += delta * self._align

    def _low(self, operation: int, code: _Cursor) -> None:
        register, offset = self.rule
        match operation:
            case 0x00:
                return
            case 0x02 | 0x03 | 0x04:
                self._advance(code.take({2: "B", 3: "H", 4: "I"}[operation]))
            case 0x0A:
                self._kept.append(self.rule)
            case 0x0B:
                self.rule = self._kept.pop()
            case 0x0C:
                self.rule = (code.leb(), code.leb())
            case 0x0D:
                self.rule = (code.leb(), offset)
            case 0x0E:
                self.rule = (register, code.leb())
            case _ if operation in _SKIPPED:
                code.skip(_SKIPPED[operation])
            case _:
                raise UnwindError(f"instruction {operation:#x}")


def callers(
    chain: Sequence[int],
    words: Sequence[int],
    is_code: Callable[[int], bool],
    rule_at: Callable[[int], Rule],
) -> list[int]:
    """The whole stack: what the chain of frame pointers has, and whom it skips.

    Args:
        chain: The call's own address, then return addresses by frame pointers.
        words: The stack from its pointer up.
        is_code: Whether an address lies in code of the process.
        rule_at: The rule at the instruction before an address; UnwindError where there is none.
    """
    found = [address for address in chain[:1] if is_code(address)]
    depth = 0
    while found:
        try:
            register, offset = rule_at(found[-1])
        except UnwindError:
            break
        at = depth + offset - _WORD
        if register != RSP or at % _WORD or not 0 <= at // _WORD < len(words):
            break  # it keeps a frame pointer: the chain goes on with its caller
        if not is_code(words[at // _WORD]):
            break
        found.append(words[at // _WORD])
        depth += offset
    rest = [address for address in chain[1:] if is_code(address)]
    known = [n for n, address in enumerate(rest) if address in found]
    return found + rest[known[-1] + 1 if known else 0 :]
