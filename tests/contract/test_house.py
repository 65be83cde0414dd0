"""The house's own rules, where no linter knows them."""

import ast
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("agent", "collectors", "detectors", "probes")
MODULE_LINES = 500
FUNCTION_LINES = 60
LIGHT = ("agent/cli", "agent/central")
HEAVY = ("probes", "collectors", "detectors")


def modules() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", *(f"{room}/*.py" for room in ROOMS)],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    return [ROOT / line for line in listed.stdout.splitlines() if (ROOT / line).exists()]


def imported(tree: ast.Module) -> Iterator[str]:
    for node in tree.body:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_stays_within_its_budget(path: Path) -> None:
    source = path.read_text()
    assert len(source.splitlines()) <= MODULE_LINES
    long = [
        f"{node.name}: {node.end_lineno - node.lineno} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef)
        and node.end_lineno is not None
        and node.end_lineno - node.lineno > FUNCTION_LINES
    ]
    assert long == []


def test_commands_and_central_load_no_other_room_before_they_need_it() -> None:
    early = [
        (str(path.relative_to(ROOT)), name)
        for path in modules()
        if str(path.relative_to(ROOT)).startswith(LIGHT)
        for name in imported(ast.parse(path.read_text()))
        if name.partition(".")[0] in HEAVY
    ]
    assert early == []


@pytest.mark.parametrize("folder", ["packaging", "tests"])
def test_folders_that_would_shadow_a_library_are_no_packages(folder: str) -> None:
    assert not (ROOT / folder / "__init__.py").exists()
