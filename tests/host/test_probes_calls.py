"""System calls are counted exactly, as what they are."""

import pytest

from probes import syscalls
from tests.host.eyes import Eyes, Seen, gram

GETPPID, WRITEV, RT_SIGRETURN, READ, EXIT, FOREIGN = 110, 20, 15, 0, 60, 510


def test_every_call_is_counted_once(eyes: Eyes) -> None:
    seen = eyes.do("calls", 1009)
    assert seen.calls == {READ: 1, GETPPID: 1009, EXIT: 1}


def test_seven_calls_in_a_row_are_one_word(eyes: Eyes) -> None:
    seen = eyes.do("calls", 1009)
    assert seen.words[gram(*[GETPPID] * 7)] == 1003


def test_the_first_words_of_a_thread_begin_with_nothing(eyes: Eyes) -> None:
    seen = eyes.do("calls", 2)
    assert seen.words == {
        gram(READ): 1,
        gram(READ, GETPPID): 1,
        gram(READ, GETPPID, GETPPID): 1,
        gram(READ, GETPPID, GETPPID, EXIT): 1,
    }


def test_the_total_of_calls_is_what_the_words_add_up_to(eyes: Eyes) -> None:
    seen = eyes.do("calls", 211)
    assert seen.totals["COUNT_SYSCALLS"] == seen.calls.total() - seen.calls[EXIT]


def test_calls_of_all_threads_are_counted(eyes: Eyes) -> None:
    seen = eyes.do("threads", 7, 101)
    assert seen.calls[GETPPID] == 7 * 101


def test_calls_of_threads_that_ran_before_are_counted(eyes: Eyes) -> None:
    seen = eyes.do("running-threads", 7, 103)
    assert seen.calls[GETPPID] == 7 * 103


def test_calls_of_forked_children_are_counted(eyes: Eyes) -> None:
    seen = eyes.do("forks", 13, 17)
    assert seen.calls[GETPPID] == 13 * 17
    assert seen.totals["COUNT_FORKS"] == 13
    assert seen.totals["COUNT_EXITS"] == 14


def test_calls_through_the_32_bit_entry_are_foreign(eyes: Eyes) -> None:
    seen = eyes.do("foreign", 19)
    assert seen.calls[FOREIGN] == 19
    assert seen.calls[WRITEV] == 0
    assert seen.marks("syscall", str(FOREIGN)) == {"foreign"}


def test_calls_through_the_x32_entry_are_foreign(eyes: Eyes) -> None:
    seen = eyes.do("x32", 29)
    assert seen.calls[FOREIGN] == 29
    assert seen.calls[GETPPID] == 0


@pytest.fixture(scope="module")
def program32(eyes: Eyes) -> Seen:
    with eyes.foreign() as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number)


def test_calls_of_a_32_bit_program_are_counted_as_foreign(program32: Seen) -> None:
    assert program32.calls[FOREIGN] == 7


def test_foreign_calls_that_matter_are_told_by_name(program32: Seen) -> None:
    names = [syscalls.name(int(s.item)) for s in program32.sightings if "foreign" in s.marks]
    assert names == ["syscall_510", "open", "connect", "setuid"]


def test_a_file_that_a_32_bit_program_opens_is_seen(program32: Seen) -> None:
    assert program32.items("file")[0] == "/etc/passwd"
    assert program32.totals["COUNT_READ_BYTES"] >= 7


def test_rights_and_programs_of_a_32_bit_program_are_seen(program32: Seen) -> None:
    assert program32.items("privilege") == ["uid 0 -> 65534, capabilities -all"]
    assert program32.items("exec")[0].endswith("/true")


def test_the_key_of_a_named_foreign_call_is_the_kernels(eyes: Eyes, program32: Seen) -> None:
    keys = [s.key for s in program32.sightings if "foreign" in s.marks]
    assert all(eyes.sensor.maps["seen"].get(key) is not None for key in keys)


def test_a_return_from_a_signal_is_counted_as_one(eyes: Eyes) -> None:
    assert eyes.do("signals", 31).calls[RT_SIGRETURN] == 31


def test_failed_calls_are_counted(eyes: Eyes) -> None:
    assert eyes.do("x32", 37).totals["COUNT_FAILED_CALLS"] == 37


@pytest.mark.parametrize("number", [101, 272, 319])
def test_a_sensitive_call_is_told_once(eyes: Eyes, number: int) -> None:
    assert eyes.do("sensitive").items("syscall").count(str(number)) == 1


def test_who_is_not_watched_is_not_counted(eyes: Eyes) -> None:
    with eyes.gated("calls", 41) as gated:
        eyes.sensor.maps["members"].delete(gated.pid.to_bytes(4, "little"))
        assert eyes.sensor.adopt() == 1
        gated.tell()
        gated.end()
    assert not eyes.seen(gated.number).words
