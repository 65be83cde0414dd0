"""What is in force is this thread's own, and comes back as it was."""

from pathlib import Path

import pytest

from agent.powers import IN_FORCE, LOAD, NUMBERS, mask, raised


def in_force() -> int:
    return int(Path("/proc/thread-self/status").read_text().split("CapEff:\t")[1].split()[0], 16)


def fail_with_more(before: int) -> None:
    with raised("kill", "net_admin"):
        assert in_force() & before == before
        raise KeyError


def test_a_mask_has_the_bits_of_its_names() -> None:
    assert mask(["kill", "bpf", "kill"]) == 1 << 5 | 1 << 39
    assert mask([]) == 0


def test_what_is_in_force_or_raised_to_attach_is_kept() -> None:
    assert {*IN_FORCE, *LOAD} <= set(NUMBERS)


def test_what_was_raised_is_put_back_also_after_a_fault() -> None:
    before = in_force()
    with pytest.raises(KeyError):
        fail_with_more(before)
    assert in_force() == before
