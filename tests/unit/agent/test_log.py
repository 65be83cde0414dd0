"""Log lines: known names, one JSON object each, garbage told once."""

import ast
import io
import json
from collections.abc import Iterator
from pathlib import Path

from agent.log import EVENTS, LEVELS, Log

SOURCE = Path(__file__).parents[3] / "agent"


def names_in_source() -> Iterator[str]:
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Attribute)
                and node.func.attr in {*LEVELS, "once"}
                and isinstance(node.func.value, ast.Name)
                and node.func.value.id == "log"
                and isinstance(node.args[0], ast.Constant)
                and isinstance(node.args[0].value, str)
            ):
                yield node.args[0].value


def test_every_event_in_the_source_is_listed() -> None:
    assert set(names_in_source()) - set(EVENTS) == set()


def test_the_list_is_sorted_and_without_repeats() -> None:
    assert list(EVENTS) == sorted(set(EVENTS))


def test_a_line_is_one_json_object() -> None:
    stream = io.StringIO()
    Log(stream, clock=lambda: 1.5).info("probe.attached", probe="exec", path=Path("/x"))
    assert json.loads(stream.getvalue()) == {
        "time": 1.5,
        "level": "info",
        "event": "probe.attached",
        "probe": "exec",
        "path": "/x",
    }


def test_a_terminal_gets_words() -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    Log(stream).warning("probe.refused", probe="exec", why="no such hook")
    assert stream.getvalue().endswith('warning probe.refused probe=exec why="no such hook"\n')


def test_what_is_below_the_level_is_left_out() -> None:
    stream = io.StringIO()
    log = Log(stream)
    log.debug("a.b")
    log.configure("error")
    log.warning("a.b")
    assert stream.getvalue() == ""


def test_garbage_is_told_once() -> None:
    stream = io.StringIO()
    log = Log(stream)
    for _ in range(3):
        log.once("control.garbage")
    assert stream.getvalue().count("control.garbage") == 1
