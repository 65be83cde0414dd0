"""What calls of many kinds are asked for, in words; what has no name keeps its number."""

import pytest

from collectors.asked_words import IOCTL, PRCTL, asked_words


@pytest.mark.parametrize(
    ("number", "choice", "words"),
    [
        (PRCTL, 35, "prctl set-mm"),
        (PRCTL, 0x59616D61, "prctl set-ptracer"),
        (PRCTL, 99, "prctl 0x63"),
        (IOCTL, 0x5412, "ioctl type-on-terminal"),
        (IOCTL, 0x8914, "ioctl set-interface-flags"),
    ],
)
def test_what_is_asked_for_is_named(number: int, choice: int, words: str) -> None:
    assert asked_words(number, choice) == words
