"""Numbers and names of system calls, and of io_uring's operations."""

import pytest

from probes import syscalls


@pytest.mark.parametrize("number", [0, 59, 110, 257, 450, 480, 512, 528, 569, 600])
def test_a_name_leads_back_to_its_number(number: int) -> None:
    assert syscalls.number(syscalls.name(number)) == number


def test_an_operation_of_io_uring_is_named_as_one() -> None:
    assert syscalls.name(512 + 16) == "io_uring:connect"


def test_an_operation_newer_than_the_table_keeps_its_number() -> None:
    assert syscalls.name(512 + 200) == "io_uring:200"


@pytest.mark.parametrize("name", ["no_such_call", "io_uring:no_such", "syscall_x"])
def test_a_name_nobody_has_is_refused(name: str) -> None:
    with pytest.raises(KeyError):
        syscalls.number(name)
