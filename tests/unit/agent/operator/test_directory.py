"""Which files may become code in the kernel."""

import os
from pathlib import Path

import pytest

from agent.operator import directory
from agent.operator.directory import look

TOML = 'description = "d"\n[fields]\nitem = ["x"]\n'


@pytest.fixture
def probes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(directory, "_ROOT", os.getuid())
    tmp_path.chmod(0o755)
    for name, text in (("one.c", "int x;\n"), ("one.toml", TOML)):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o644)
    return tmp_path


def test_a_pair_of_files_is_a_probe(probes: Path) -> None:
    (one,) = look(probes)
    assert (one.name, one.source, one.why) == ("one", "int x;\n", "")
    assert one.declaration is not None


@pytest.mark.parametrize("missing", ["one.c", "one.toml"])
def test_half_a_pair_is_named_with_what_is_missing(probes: Path, missing: str) -> None:
    (probes / missing).unlink()
    (one,) = look(probes)
    assert one.declaration is None
    assert one.why == f"{probes / missing} is missing"


@pytest.mark.parametrize("loose", ["one.c", "one.toml", "."])
def test_what_others_may_write_is_refused(probes: Path, loose: str) -> None:
    (probes / loose).chmod(0o775)
    (one,) = look(probes)
    assert "writable by others" in one.why


def test_what_is_not_roots_is_refused(probes: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(directory, "_ROOT", os.getuid() + 1)
    (one,) = look(probes)
    assert "is not root's" in one.why


def test_a_link_is_not_followed(probes: Path) -> None:
    (probes / "one.c").rename(probes / "elsewhere")
    (probes / "one.c").symlink_to(probes / "elsewhere")
    (one,) = look(probes)
    assert one.declaration is None


def test_a_mistake_in_the_declaration_is_the_reason(probes: Path) -> None:
    (probes / "one.toml").write_text(TOML + "summ = 3\n")
    (one,) = look(probes)
    assert one.why.startswith(f"{probes / 'one.toml'}:4: fields.summ is no known key")


def test_a_directory_that_is_missing_has_no_probes(tmp_path: Path) -> None:
    assert look(tmp_path / "nothing") == []
