"""Words for what a record says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from collectors.sightings import environment_words, host_name, text

FLAGS = {
    "ENVIRONMENT_PRELOAD": 1,
    "ENVIRONMENT_AUDIT": 2,
    "ENVIRONMENT_LIBRARY_PATH": 4,
    "ENVIRONMENT_PYTHON": 8,
    "ENVIRONMENT_UNREAD": 16,
}


def test_the_parts_of_a_host_name_are_joined_by_dots() -> None:
    assert host_name(b"\x06models\x07example\x03org") == "models.example.org"


def test_a_host_name_cut_off_keeps_its_beginning() -> None:
    assert host_name(b"\x06models\x09exam") == "models.exam"


@given(st.binary(max_size=144))
def test_any_bytes_are_some_host_name(raw: bytes) -> None:
    assert isinstance(host_name(raw), str)


def test_bytes_that_are_no_text_stay_visible() -> None:
    assert text(b"/\xff") == "/\\xff"


@pytest.mark.parametrize(
    ("found", "words"),
    [(0, set()), (1, {"ld-preload"}), (6, {"ld-audit", "ld-library-path"}), (8, {"python-path"})],
)
def test_an_environment_is_told_in_words(found: int, words: set[str]) -> None:
    assert environment_words(found, FLAGS) == words
