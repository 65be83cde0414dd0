"""What the daemon may do, and when: capabilities(7).

What its start needed is given away after it; what only rare acts take is out of force until one.
Capabilities are a thread's own: threads that are begun later inherit what their parent has in
force. A program that this one runs as root gets all that is permitted, whatever is in force:
what that is to hold, `agent.confined` says.
"""

import ctypes
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import cache
from typing import Final

from agent.errors import PrivilegeError

NUMBERS: Final = {
    "chown": 0,
    "dac_override": 1,
    "dac_read_search": 2,
    "kill": 5,
    "setpcap": 8,
    "net_admin": 12,
    "sys_ptrace": 19,
    "sys_admin": 21,
    "sys_nice": 23,
    "perfmon": 38,
    "bpf": 39,
    "checkpoint_restore": 40,
}
"""include/uapi/linux/capability.h, of those that are kept where they were given: the unit's nine;
SYS_ADMIN, without which newer kernels attach to no GPU driver (packaging/decisions/0026); CHOWN and
SYS_NICE where no unit did the one, or gives the agent its share of the processor."""

IN_FORCE: Final = ("bpf", "dac_read_search", "sys_ptrace")
"""What the loop needs all the time: maps (any use of them before Linux 5.19), and others' /proc."""

LOAD: Final = ("net_admin", "perfmon", "sys_admin")
"""And what attaching a program takes beside BPF."""

_VERSION_3: Final = 0x20080522
_PR_CAPBSET_READ, _PR_CAPBSET_DROP = 23, 24  # include/uapi/linux/prctl.h


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


class _Words(ctypes.Structure):
    _fields_ = (
        ("effective", ctypes.c_uint32),
        ("permitted", ctypes.c_uint32),
        ("inheritable", ctypes.c_uint32),
    )


def mask(names: Iterable[str]) -> int:
    """Return the bits of these capabilities, as /proc/PID/status prints them."""
    return sum(1 << NUMBERS[name] for name in set(names))


def settle() -> None:
    """Give away for good what is not in `NUMBERS`, and put all but `IN_FORCE` out of force.

    Called by the first thread before there are others.

    Raises:
        PrivilegeError: The kernel refuses.
    """
    _, permitted = _get()
    if permitted >> NUMBERS["setpcap"] & 1:
        _drop_from_bounding_set(mask(NUMBERS))
    kept = permitted & mask(NUMBERS)
    _set(kept & mask(IN_FORCE), kept)


@contextmanager
def raised(*names: str) -> Iterator[None]:
    """Have these in force meanwhile, in this thread, as far as they are permitted."""
    effective, permitted = _get()
    wanted = effective | (permitted & mask(names))
    if wanted == effective:
        yield
        return
    _set(wanted, permitted)
    try:
        yield
    finally:
        _set(effective, permitted)


def _drop_from_bounding_set(kept: int) -> None:
    number = 0
    while (held := _libc().prctl(_PR_CAPBSET_READ, number, 0, 0, 0)) >= 0:  # -1: beyond the last
        if held and not kept >> number & 1:
            _checked(_libc().prctl(_PR_CAPBSET_DROP, number, 0, 0, 0))
        number += 1


def _get() -> tuple[int, int]:
    """Return what is in force and what is permitted, of this thread."""
    words = (_Words * 2)()
    _checked(_libc().capget(ctypes.byref(_Header(_VERSION_3, 0)), words))
    low, high = words
    return low.effective | high.effective << 32, low.permitted | high.permitted << 32


def _set(effective: int, permitted: int) -> None:
    words = (_Words * 2)(
        *(_Words(effective >> by & 0xFFFFFFFF, permitted >> by & 0xFFFFFFFF, 0) for by in (0, 32))
    )
    _checked(_libc().capset(ctypes.byref(_Header(_VERSION_3, 0)), words))


def _checked(result: int) -> None:
    if result < 0:
        words = os.strerror(ctypes.get_errno())
        raise PrivilegeError(f"Holding fewer capabilities ({words})")


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)
