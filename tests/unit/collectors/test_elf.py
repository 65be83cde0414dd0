"""A watched process writes the libraries that are read here: whatever they say costs little."""

import os
import resource
import struct
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from collectors.elf import MOST_TABLE_BYTES, ElfError, functions

NAMES = ("cuInit", "cuLaunchKernel", "data", "cuMemFree_v2")
HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
SEGMENT = struct.Struct("<IIQQQQQQ")
SECTION = struct.Struct("<IIQQQQIIQQ")
SYMBOL = struct.Struct("<IBBHQQ")
CODE_AT, CODE_BYTES, CODE_ADDRESS = 0x1000, 0x800, 0x401000
SEGMENTS_AT, SECTIONS_AT, SYMBOLS_AT, STRINGS_AT = 0x40, 0x100, 0x200, 0x400
FUNCTION, KINDS = 0x12, {"data": 0x11}  # STB_GLOBAL with STT_FUNC, STT_OBJECT
MOST_CPU_S = 5.0
"""For one file, whatever it says; the dearest takes a quarter of a second here."""


class Library:
    """A small shared library, each field of which a test may falsify."""

    def __init__(self) -> None:
        self.header = [b"\x7fELF\x02\x01\x01" + bytes(9), 3, 62, 1, 0, SEGMENTS_AT, SECTIONS_AT, 0]
        self.header += [64, 56, 1, 64, 3, 0]
        self.segment = [1, 5, CODE_AT, CODE_ADDRESS, 0, CODE_BYTES, CODE_BYTES, 4096]
        strings = b"\0" + b"\0".join(name.encode() for name in NAMES) + b"\0"
        self.symbols = [
            [
                strings.index(name.encode()),
                KINDS.get(name, FUNCTION),
                0,
                1,
                CODE_ADDRESS + 16 * at,
                16,
            ]
            for at, name in enumerate(NAMES)
        ]
        size = SYMBOL.size * len(self.symbols)
        self.symbol_section = [0, 11, 0, 0, SYMBOLS_AT, size, 2, 0, 8, SYMBOL.size]
        self.string_section = [0, 3, 0, 0, STRINGS_AT, len(strings), 0, 0, 1, 0]
        self.strings = strings

    def data(self) -> bytes:
        made = bytearray(CODE_AT + CODE_BYTES)
        HEADER.pack_into(made, 0, *self.header)
        SEGMENT.pack_into(made, SEGMENTS_AT, *self.segment)
        SECTION.pack_into(made, SECTIONS_AT + 64, *self.symbol_section)
        SECTION.pack_into(made, SECTIONS_AT + 128, *self.string_section)
        for at, symbol in enumerate(self.symbols):
            SYMBOL.pack_into(made, SYMBOLS_AT + at * SYMBOL.size, *symbol)
        made[STRINGS_AT : STRINGS_AT + len(self.strings)] = self.strings
        return bytes(made)


def read(path: Path) -> dict[str, int]:
    fd = os.open(path, os.O_RDONLY)
    try:
        return functions(fd, NAMES)
    finally:
        os.close(fd)


@pytest.fixture
def library() -> Library:
    return Library()


@pytest.fixture
def read_bytes(tmp_path: Path) -> Callable[[bytes], dict[str, int]]:
    def of(data: bytes) -> dict[str, int]:
        path = tmp_path / "libcuda.so.1"
        path.write_bytes(data)
        return read(path)

    return of


def test_functions_are_found_where_their_code_is(
    library: Library, read_bytes: Callable[[bytes], dict[str, int]]
) -> None:
    found = read_bytes(library.data())
    assert found == {"cuInit": 0x1000, "cuLaunchKernel": 0x1010, "cuMemFree_v2": 0x1030}


def test_an_address_outside_the_code_is_no_function(
    library: Library, read_bytes: Callable[[bytes], dict[str, int]]
) -> None:
    library.symbols[0][4] = CODE_ADDRESS + CODE_BYTES
    library.symbols[1][4] = (1 << 64) - 1
    library.symbols[3][3] = 0  # of another library
    assert read_bytes(library.data()) == {}


def _falsify(part: str, at: int, value: int) -> Callable[[Library], None]:
    return lambda library: getattr(library, part).__setitem__(at, value)


@pytest.mark.parametrize(
    ("falsify", "words"),
    [
        (_falsify("header", 1, 2), "no shared library"),
        (_falsify("header", 2, 183), "no shared library of this machine"),
        (_falsify("header", 5, 1 << 32), "ends before its segments"),
        (_falsify("header", 6, (1 << 64) - 1), "ends before its sections"),
        (_falsify("header", 9, 1), "another size"),
        (_falsify("header", 10, 0xFFFF), "ends before its segments"),
        (_falsify("header", 11, 32), "another size"),
        (_falsify("header", 12, 0xFFFF), "ends before its sections"),
        (_falsify("header", 12, 1), "0 tables of dynamic symbols"),
        (_falsify("header", 12, 2), "its symbols have no names"),
        (_falsify("segment", 2, 4 << 30), "its code lies beyond its end"),
        (_falsify("segment", 5, (1 << 64) - 1), "its code lies beyond its end"),
        (_falsify("symbol_section", 4, 4 << 30), "ends before its symbols"),
        (_falsify("symbol_section", 5, (1 << 64) - 24), "ends before its symbols"),
        (_falsify("symbol_section", 6, 0xFFFFFFFF), "its symbols have no names"),
        (_falsify("symbol_section", 6, 1), "its symbols have no names"),  # named by itself
        (_falsify("symbol_section", 9, 0), "another size"),
        (_falsify("string_section", 1, 11), "2 tables of dynamic symbols"),
        (_falsify("string_section", 4, (1 << 63) - 1), "ends before its names"),
        (_falsify("string_section", 5, 4 << 30), "ends before its names"),
    ],
)
def test_what_is_wrong_is_said(
    falsify: Callable[[Library], None],
    words: str,
    library: Library,
    read_bytes: Callable[[bytes], dict[str, int]],
) -> None:
    falsify(library)
    with pytest.raises(ElfError, match=words):
        read_bytes(library.data())


@pytest.mark.parametrize("data", [b"", b"\x7fELF", bytes(4096), b"\x7fELF\x01\x01" + bytes(100)])
def test_what_is_no_library_is_said(
    data: bytes, read_bytes: Callable[[bytes], dict[str, int]]
) -> None:
    with pytest.raises(ElfError):
        read_bytes(data)


def test_every_truncation_is_an_error_or_what_is_left(
    library: Library, read_bytes: Callable[[bytes], dict[str, int]]
) -> None:
    whole = library.data()
    for size in range(0, len(whole), 64):
        with pytest.raises(ElfError):
            read_bytes(whole[:size])


def test_sections_may_overlap(
    library: Library, read_bytes: Callable[[bytes], dict[str, int]]
) -> None:
    library.string_section[4] = SYMBOLS_AT  # names that are symbols
    assert read_bytes(library.data()) == {}


def test_what_is_no_file_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    fd = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    try:
        with pytest.raises(ElfError, match="no regular file"):
            functions(fd, NAMES)
    finally:
        os.close(fd)


def _sparse(path: Path, library: Library, size: int) -> Path:
    path.write_bytes(library.data())
    os.truncate(path, size)
    return path


def test_a_sparse_file_of_terabytes_is_refused_unread(library: Library, tmp_path: Path) -> None:
    library.symbol_section[4:6] = [0, 1 << 40]
    path = _sparse(tmp_path / "a", library, 1 << 40)
    with pytest.raises(ElfError, match="more than any library has"):
        read(path)


def test_the_largest_tables_take_bounded_time_and_memory(tmp_path: Path) -> None:
    """Every symbol a function with a long name: the dearest file that is still read."""
    library = Library()
    symbols_at, strings_at = 1 << 24, 1 << 25
    count = MOST_TABLE_BYTES // SYMBOL.size
    library.symbol_section[4:6] = [symbols_at, count * SYMBOL.size]
    library.string_section[4:6] = [strings_at, MOST_TABLE_BYTES]
    path = _sparse(tmp_path / "a", library, strings_at + MOST_TABLE_BYTES)
    with path.open("r+b") as file:
        file.seek(symbols_at)
        file.write(SYMBOL.pack(7, FUNCTION, 0, 1, CODE_ADDRESS, 16) * count)
        file.seek(strings_at)
        file.write(b"c" * MOST_TABLE_BYTES)
    before, began = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    assert read(path) == {}
    assert time.process_time() - began < MOST_CPU_S
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 6 * MOST_TABLE_BYTES >> 10


@settings(max_examples=150, deadline=None)
@given(
    changes=st.lists(
        st.tuples(
            st.one_of(st.integers(0, 63), st.integers(SEGMENTS_AT, 0x300), st.integers(0, 0x17FF)),
            st.sampled_from((1, 2, 4, 8)),
            st.one_of(st.integers(0, (1 << 64) - 1), st.sampled_from((0, 1, 1 << 31, 1 << 32))),
        ),
        max_size=8,
    ),
    cut=st.one_of(st.none(), st.integers(0, CODE_AT + CODE_BYTES)),
)
def test_no_bytes_do_more_than_raise(changes: list[tuple[int, int, int]], cut: int | None) -> None:
    data = bytearray(Library().data())
    for at, width, value in changes:
        data[at : at + width] = (value & ((1 << 8 * width) - 1)).to_bytes(width, "little")
    fd, found = os.memfd_create("library"), {}
    os.write(fd, data[:cut])
    began = time.process_time()
    try:
        with suppress(ElfError):
            found = functions(fd, NAMES)
    finally:
        os.close(fd)
    assert all(0 <= offset < len(data[:cut]) for offset in found.values())
    assert time.process_time() - began < MOST_CPU_S
