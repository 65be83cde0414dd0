from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.response.journal import Journal, JournalError
from agent.response.journal_format import decode, encode

RECORD = {"event": "done", "id": "a", "mono_ns": 1}

records = st.lists(
    st.dictionaries(st.text(max_size=8), st.integers() | st.text(max_size=8), max_size=4),
    max_size=6,
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path / "state", reserved_bytes=4096)


@given(records)
def test_what_is_encoded_is_decoded(written: list[dict[str, Any]]) -> None:
    content = b"".join(map(encode, written))
    reading = decode(content.ljust(len(content) + 64, b"\0"))
    assert list(reading.records) == written
    assert (reading.bad_lines, reading.torn, reading.end) == (0, False, len(content))


@given(records.filter(bool), st.data())
def test_a_write_cut_short_costs_only_the_last_record(
    written: list[dict[str, Any]], data: st.DataObject
) -> None:
    whole = b"".join(map(encode, written[:-1]))
    last = encode(written[-1])
    cut = data.draw(st.integers(1, len(last) - 1))
    reading = decode((whole + last[:cut]).ljust(len(whole) + 256, b"\0"))
    assert list(reading.records) == written[:-1]
    assert (reading.bad_lines, reading.torn, reading.end) == (0, True, len(whole))


@given(st.binary(max_size=200))
def test_no_content_makes_decoding_fail(content: bytes) -> None:
    decode(content)


def test_a_changed_line_in_the_middle_is_bad_and_the_rest_is_kept() -> None:
    lines = [encode({**RECORD, "id": name}) for name in "abc"]
    reading = decode(lines[0] + lines[1].replace(b"done", b"DONE") + lines[2])
    assert [record["id"] for record in reading.records] == ["a", "c"]
    assert (reading.bad_lines, reading.torn) == (1, False)


def test_records_outlive_the_object_that_wrote_them(journal: Journal, tmp_path: Path) -> None:
    with journal.locked():
        journal.read()
        journal.append(RECORD, durable=True)
    again = Journal(tmp_path / "state", reserved_bytes=4096)
    with again.locked():
        assert again.read() == (RECORD,)


def test_writing_takes_no_new_space(journal: Journal, tmp_path: Path) -> None:
    with journal.locked():
        journal.read()
        path = tmp_path / "state" / "journal"
        before = path.stat().st_size, path.stat().st_blocks
        journal.append(RECORD, durable=True)
    assert (path.stat().st_size, path.stat().st_blocks) == before


def test_a_corrupt_journal_is_kept_under_another_name(journal: Journal, tmp_path: Path) -> None:
    with journal.locked():
        journal.read()
        for name in "abc":
            journal.append({**RECORD, "id": name}, durable=False)
    path = tmp_path / "state" / "journal"
    corrupt = path.read_bytes().replace(b'"b"', b'"x"')
    path.write_bytes(corrupt)
    with journal.locked():
        assert [record["id"] for record in journal.read()] == ["a", "c"]
        assert [record["id"] for record in journal.read()] == ["a", "c"]
    (aside,) = journal.set_aside
    assert aside.read_bytes() == corrupt
    assert journal.lost_lines == 1


def test_a_full_journal_refuses_and_keeps_what_it_has(journal: Journal) -> None:
    with journal.locked():
        journal.read()
        journal.append(RECORD, durable=False)
        with pytest.raises(JournalError):
            journal.append({"text": "x" * 5000}, durable=False)
        assert journal.read() == (RECORD,)


def test_compaction_replaces_everything_at_once(journal: Journal, tmp_path: Path) -> None:
    reader = Journal(tmp_path / "state", reserved_bytes=4096)
    with journal.locked():
        journal.read()
        while not journal.crowded:
            journal.append(RECORD, durable=False)
    with reader.locked():
        reader.read()
    with journal.locked():
        journal.compact([{**RECORD, "id": "z"}])
        journal.append(RECORD, durable=True)
    assert reader.changed()
    with reader.locked():
        assert [record["id"] for record in reader.read()] == ["z", "a"]
    assert not reader.changed()


def test_a_write_by_somebody_else_is_noticed(journal: Journal, tmp_path: Path) -> None:
    other = Journal(tmp_path / "state", reserved_bytes=4096)
    with journal.locked():
        journal.read()
    assert not journal.changed()
    with other.locked():
        other.read()
        other.append(RECORD, durable=False)
    assert journal.changed()


def test_an_unusable_state_directory_is_the_journals_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(JournalError), Journal(tmp_path / "file").locked():
        pass
