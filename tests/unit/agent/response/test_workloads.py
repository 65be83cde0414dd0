from pathlib import Path

import pytest

from agent.errors import UnknownError
from agent.response import workloads
from agent.response.containment import ProcessId, Target
from agent.response.workloads import TooManyWorkloadsError, WorkloadsError

TARGET = Target("embedder", 3, (ProcessId(10, 20),))


def test_what_is_written_is_found_by_name(tmp_path: Path) -> None:
    workloads.write(tmp_path, [TARGET, Target("other", 4)])
    assert workloads.find(tmp_path, "embedder") == TARGET
    assert set(workloads.read(tmp_path)) == {"embedder", "other"}


def test_an_unknown_name_is_said_to_be_unknown(tmp_path: Path) -> None:
    with pytest.raises(UnknownError):
        workloads.find(tmp_path, "embedder")


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"format": 9}', '{"format": 1, "workloads": {"a": {"id": "x"}}}']
)
def test_a_damaged_list_is_one_sentence(tmp_path: Path, text: str) -> None:
    (tmp_path / "workloads.json").write_text(text)
    with pytest.raises(WorkloadsError):
        workloads.read(tmp_path)


def test_a_workload_keeps_its_number_and_a_new_one_gets_the_lowest_free() -> None:
    known = {"a": 1, "c": 3}
    assert [workloads.assign(name, known, 256) for name in ("c", "new")] == [3, 2]


def test_when_all_numbers_are_taken_it_says_so() -> None:
    with pytest.raises(TooManyWorkloadsError):
        workloads.assign("new", {"a": 1, "b": 2}, 3)
