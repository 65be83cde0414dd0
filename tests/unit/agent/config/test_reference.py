"""The reference file is the schema, written out."""

import dataclasses
from pathlib import Path

from agent.config import Settings, load
from agent.config.reference import reference

REFERENCE = Path(__file__).parents[4] / "packaging" / "agent.toml"


def test_the_reference_file_is_what_the_schema_writes() -> None:
    assert REFERENCE.read_text() == reference()


def test_the_reference_file_states_every_default() -> None:
    assert dataclasses.replace(load(REFERENCE), origins={}) == Settings()


def test_the_examples_in_the_reference_file_are_valid(tmp_path: Path) -> None:
    _, example = reference().split("# [[workload]]\n")
    path = tmp_path / "agent.toml"
    path.write_text("[[workload]]\n" + example.replace("# ", "", 1).replace("\n# ", "\n"))
    assert load(path).workload[0].name == "embedder"
