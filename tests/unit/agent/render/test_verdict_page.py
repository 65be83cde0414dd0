"""A verdict as a web page: complete, in order, and inert whatever a name holds."""

import re
from html.parser import HTMLParser
from typing import Any

from agent.render.inert import inert, inert_values
from agent.render.timeline import timeline
from agent.render.verdict_page import verdict_page
from agent.render.verdicts import explanation, verdict_table
from tests.unit.agent.render.test_verdicts import VERDICT

HOSTILE = (
    '</title><script>alert(1)</script><img src=x onerror="alert(2)">&\x1b[2J\nforged line\u202e'
)
ALLOWED = {
    "html", "head", "meta", "title", "style", "body", "h1", "h2", "p", "span", "pre", "svg", "line",
    "text", "circle",
}  # fmt: skip


class Tags(HTMLParser):
    """Collects what a browser would make elements and attributes of."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def hostile(value: object) -> Any:  # noqa: ANN401 - plain values of any shape
    """Every text of a verdict replaced by a hostile one."""
    if isinstance(value, dict):
        return {key: hostile(one) for key, one in value.items()}
    if isinstance(value, list):
        return [hostile(one) for one in value]
    return HOSTILE if isinstance(value, str) else value


def parsed(page: str) -> Tags:
    tags = Tags()
    tags.feed(page)
    return tags


def test_the_page_tells_what_the_text_tells_in_the_same_order() -> None:
    page = verdict_page(VERDICT)
    titles = re.findall(r"<h2>(.*?)</h2>", page)
    lines = explanation(VERDICT).splitlines()
    assert titles == [line for line in lines if line in titles]
    assert len(titles) >= 8
    assert titles[0] == "Never seen before"
    assert titles[-1] == "What was done"
    assert VERDICT["summary"] in page


def test_the_page_needs_nothing_else_and_runs_nothing() -> None:
    page = verdict_page(VERDICT)
    found = parsed(page)
    assert found.tags == ALLOWED
    assert not {"src", "href", "xlink:href"} & found.attributes
    assert not any(name.startswith("on") for name in found.attributes)
    assert "default-src 'none'" in page
    assert "url(" not in page


def test_hostile_names_make_no_element_and_no_attribute() -> None:
    attacked = hostile(VERDICT)
    page = verdict_page(attacked)
    assert parsed(page).tags == ALLOWED
    assert parsed(page).attributes == parsed(verdict_page(VERDICT)).attributes
    assert "<script" not in page
    assert "\x1b" not in page
    assert "\u202e" not in page


def test_hostile_names_neither_steer_a_terminal_nor_forge_lines() -> None:
    attacked = hostile(VERDICT)
    for text in (explanation(attacked), verdict_table([attacked])):
        assert "\x1b" not in text
        assert not any(line.strip() == "forged line" for line in text.splitlines())
        assert "\u202e" not in text


def test_every_record_is_drawn_on_the_line_of_its_process() -> None:
    start = 1_700_000_000_000_000_000
    records = [
        {
            "time_ns": start + at * 1_000_000,
            "kind": "exec",
            "item": f"/bin/{at}",
            "pid": pid,
            "comm": "x",
        }
        for at, pid in ((-40, 7), (0, 8), (15, 7))
    ]
    drawn = timeline(records, start)
    assert drawn.count("<circle") == 3
    assert drawn.count('class="lane"') == 2
    xs = [float(x) for x in re.findall(r'<circle cx="([\d.]+)"', drawn)]
    zero = float(re.findall(r'class="zero" x1="([\d.]+)"', drawn)[0])
    assert xs[0] < zero
    assert min(xs) >= 190
    assert max(xs) <= 960
    assert "+15.0 ms exec /bin/15" in drawn


def test_one_record_or_none_draws_too() -> None:
    record = {"time_ns": 5, "kind": "odd", "item": "x", "pid": 1, "comm": "x"}
    assert "<circle" in timeline([record], 5)
    assert timeline([], 5) == ""


def test_what_prints_stays_and_what_does_not_is_shown_as_its_code() -> None:
    assert inert("/srv/modèle/日本.bin") == "/srv/modèle/日本.bin"
    assert inert("a\nb\x1b[31m\udcff") == "a\\nb\\x1b[31m\\udcff"
    assert inert_values({"a\n": ["b\t", 1, None]}) == {"a\\n": ["b\\t", 1, None]}
