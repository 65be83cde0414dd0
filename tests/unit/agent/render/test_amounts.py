"""Numbers with units, as names carry them."""

import math

import pytest

from agent.render import amounts


@pytest.mark.parametrize(
    ("name", "value", "text"),
    [
        ("rss_bytes", 1536, "1.5 KiB"),
        ("bytes", 12, "12 B"),
        ("uptime_s", 3720.0, "1 h 2 min"),
        ("uptime_s", 0.25, "250 ms"),
        ("age_s", 90_061, "1 d 1 h"),
        ("latency_ms", 12.4, "12 ms"),
        ("cpu_percent", 0.834, "0.8 %"),
        ("events", 1234567, "1,234,567"),
        ("lost", 0, "0"),
        ("lost", None, "-"),
        ("silent", True, "yes"),
        ("pids", [1, 2], "1, 2"),
        ("pids", [], "none"),
        ("why", "maps a library", "maps a library"),
    ],
)
def test_a_value_is_written_in_the_unit_of_its_name(name: str, value: object, text: str) -> None:
    assert amounts.amount(name, value) == text


def test_a_mapping_is_one_line() -> None:
    assert amounts.facts({"pending": 3, "disk_bytes": 2048}) == "pending 3, disk 2.0 KiB"


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (2048.0, "B/s", "2.0 KiB/s"),
        (0.5, "1/s", "0.5 1/s"),
        (12345.6, "1/s", "12,346 1/s"),
        (7.0, "1", "7"),
        (math.nan, "B", "-"),
    ],
)
def test_a_reading_is_written_in_its_own_unit(value: float, unit: str, text: str) -> None:
    assert amounts.quantity(value, unit) == text
