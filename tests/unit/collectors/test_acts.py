"""Rights and ends in words."""

import numpy as np
import pytest

from collectors import rights
from collectors.acts import signal_name

FIELDS = [
    ("capabilities_before", "<u8"),
    ("capabilities", "<u8"),
    ("euid_before", "<u4"),
    ("euid", "<u4"),
    ("egid_before", "<u4"),
    ("egid", "<u4"),
]
ALL = (1 << 41) - 1
CONTAINER = 0xA80425FB  # what a container's runtime leaves its root
RAW, ADMIN = 1 << 13, 1 << 21


def record(caps: tuple[int, int], uids: tuple[int, int] = (0, 0)) -> np.void:
    return np.void((*caps, *uids, 0, 0), dtype=FIELDS)


@pytest.mark.parametrize(
    ("caps", "uids", "words", "marks"),
    [
        ((0, ALL), (1000, 0), "uid 1000 -> 0, capabilities +all", {"gained"}),
        ((ALL, 0), (0, 33), "uid 0 -> 33, capabilities -all", {"dropped"}),
        ((RAW, ADMIN), (0, 0), "capabilities +CAP_SYS_ADMIN -CAP_NET_RAW", {"gained"}),
        ((RAW | ADMIN, RAW), (0, 0), "capabilities -CAP_SYS_ADMIN", {"dropped"}),
        ((0, 0), (1000, 0), "uid 1000 -> 0", {"gained"}),
        ((0, 0), (1000, 1001), "uid 1000 -> 1001", set()),
    ],
)
def test_a_change_of_rights_is_told_by_what_differs(
    caps: tuple[int, int], uids: tuple[int, int], words: str, marks: set[str]
) -> None:
    assert rights.change(record(caps, uids)) == words
    assert rights.marks(record(caps, uids)) == marks


def test_capabilities_of_a_container_are_told_one_by_one() -> None:
    assert rights.change(record((CONTAINER, 0))).count("-CAP_") == CONTAINER.bit_count()


def test_a_capability_newer_than_the_list_is_left_out() -> None:
    assert rights.capabilities(1 << 63 | RAW) == ["CAP_NET_RAW"]


@pytest.mark.parametrize(("number", "name"), [(9, "SIGKILL"), (11, "SIGSEGV"), (45, "SIG45")])
def test_a_signal_is_told_by_its_name(number: int, name: str) -> None:
    assert signal_name(number) == name
