"""Callers that frame pointers skip."""

from pathlib import Path

import pytest

from agent.stacks.unwind import RSP, FrameInformation, Rule, UnwindError, callers

CODE = range(1000, 2000)
RBP = 6


def rules(table: dict[int, Rule]) -> "object":
    def rule_at(address: int) -> Rule:
        if address not in table:
            raise UnwindError("no entry")
        return table[address]

    return rule_at


def unwind(chain: list[int], words: list[int], table: dict[int, Rule]) -> list[int]:
    return callers(chain, words, CODE.__contains__, rules(table))  # type: ignore[arg-type]


def test_the_caller_of_a_function_without_frame_pointer_is_found_on_the_stack() -> None:
    words = [7, 7, 1500, 7]
    assert unwind([1100, 1900], words, {1100: (RSP, 24), 1500: (RBP, 16)}) == [1100, 1500, 1900]


def test_several_such_functions_follow_each_other() -> None:
    words = [1500, 7, 1600]
    table = {1100: (RSP, 8), 1500: (RSP, 16), 1600: (RBP, 16)}
    assert unwind([1100, 1900], words, table) == [1100, 1500, 1600, 1900]


def test_a_function_with_frame_pointer_leaves_the_chain_as_it_is() -> None:
    assert unwind([1100, 1500], [1700], {1100: (RBP, 16)}) == [1100, 1500]


def test_what_the_chain_has_too_is_not_told_twice() -> None:
    table = {1100: (RSP, 8), 1500: (RSP, 8)}
    assert unwind([1100, 1500, 1600, 1700], [1500, 1600], table) == [1100, 1500, 1600, 1700]


@pytest.mark.parametrize("offset", [0, 4, 800])
def test_a_return_address_out_of_reach_ends_the_search(offset: int) -> None:
    assert unwind([1100, 1900], [1500], {1100: (RSP, offset)}) == [1100, 1900]


def test_what_is_no_code_is_no_frame() -> None:
    assert unwind([1100, 5, 1900], [5], {1100: (RSP, 8)}) == [1100, 1900]
    assert unwind([], [], {}) == []


def test_the_real_librarys_information_is_read() -> None:
    name = next(
        line.split()[-1] for line in Path("/proc/self/maps").read_text().splitlines()
        if line.endswith("/libc.so.6")
    )  # fmt: skip
    information = FrameInformation(Path(name).read_bytes())
    read = 0
    for entry in range(0, information._count, 97):
        address = information._header_address + information._start(entry)
        register, offset = information.rule(address)
        assert (register, offset) == (RSP, 8) or offset >= 0
        read += 1
    assert read > 20


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", b"\x7fELF\x01" + bytes(60)])
def test_what_is_no_program_says_so(data: bytes) -> None:
    with pytest.raises(UnwindError):
        FrameInformation(data)
