"""Windows from counters: rates by the schema's names, what was not read stays away."""

from typing import NamedTuple, cast

import numpy as np
import pytest

from agent.daemon.membership import Membership
from agent.daemon.registry import Found
from agent.daemon.windows import Windows
from collectors.counters import Counts
from detectors.window import Item, ItemKind, Window
from probes import schema
from probes.loader import OBJECT, Sensor
from probes.schema import Schema

NS = 1_000_000_000
FOUND = Found("embedder", "generic", 2)
GRAM = np.dtype([("workload", "<u4"), ("role", "<u2"), ("word", "<u8"), ("count", "<u8")])


class Unloaded(NamedTuple):
    """What a window needs of the sensor: the object's own names; nothing is in the kernel."""

    schema: Schema


@pytest.fixture(scope="module")
def types() -> Schema:
    return schema.load(OBJECT)


@pytest.fixture(scope="module")
def windows(types: Schema) -> Windows:
    membership = Membership(cast("Sensor", Unloaded(types)))
    membership.roles["engine"] = 2
    return Windows(membership)


@pytest.fixture
def counts(types: Schema) -> Counts:
    rows = [(2, 0, 11, 5), (2, 2, 12, 1), (2, 0, 13, 7), (1, 0, 11, 99)]
    totals = np.zeros((4, len(types.enum("counter"))), np.uint64)
    totals[2, types.enum("counter")["COUNT_SYSCALLS"]] = 300
    totals[2, types.enum("counter")["COUNT_SENT_INITIATED"]] = 1_000
    totals[1] = 77
    losses = np.zeros((4, len(types.enum("loss_reason"))), np.uint64)
    directions = types.enum("file_direction")
    files = np.zeros((4, types.enum("file_class")["FILE_CLASS_MAX"] * 3), np.uint64)
    files[2, types.enum("file_class")["FILE_WEIGHTS"] * 3 + directions["FILE_MAPPED"]] = 4_000
    width = types.enum("peer_class")["PEER_CLASS_MAX"] * types.enum("peer_flow")["FLOW_MAX"]
    traffic, connections = np.zeros((2, 4, width), np.uint64)
    for flow, number in (("FLOW_INITIATED_OUT", 400), ("FLOW_ACCEPTED_OUT", 60)):
        at = types.enum("peer_flow")[flow]
        for peer in ("PEER_PUBLIC", "PEER_PRIVATE", "PEER_LINK"):
            row = types.enum("peer_class")[peer] * types.enum("peer_flow")["FLOW_MAX"] + at
            traffic[2, row], connections[2, row] = number, number // 20
    rest = (files, traffic, connections, np.zeros(8, np.uint64), 0)
    return Counts(np.array(rows, GRAM), totals, losses, *rest)


def build(windows: Windows, counts: Counts, **readings: float) -> Window:
    item = Item(ItemKind.EXEC, "/bin/sh", "main", 1, 1)
    return windows.build(FOUND, counts, (10 * NS, 12 * NS), readings, [item])


def test_counts_become_rates_per_second_of_the_windows_real_length(
    windows: Windows, counts: Counts
) -> None:
    window = build(windows, counts)
    assert (window.length_s, window.start_ns) == (2.0, 10 * NS)
    assert window.features["syscalls"] == 150.0
    assert window.features["bytes_out_initiated"] == 500.0
    assert window.features["forks"] == 0.0  # counted, and none


def test_bytes_and_connections_are_told_by_who_opened_them_and_where_to(
    windows: Windows, counts: Counts
) -> None:
    found = build(windows, counts).features
    assert found["bytes_out_initiated_public"] == 200.0
    assert found["bytes_out_initiated_private"] == 400.0  # its own link is its own network
    assert found["bytes_out_accepted_public"] == 30.0
    assert found["bytes_in_initiated_public"] == 0.0
    assert (found["connects_public"], found["connects_private"]) == (10.0, 20.0)
    assert found["accepts_public"] == 1.5


def test_bytes_by_class_of_file_are_rates_too(windows: Windows, counts: Counts) -> None:
    window = build(windows, counts)
    assert window.features["mapped_weights_bytes"] == 2_000.0
    assert window.features["read_weights_bytes"] == 0.0


def test_what_was_not_read_is_absent_and_not_zero(windows: Windows, counts: Counts) -> None:
    window = build(windows, counts, rss_bytes=5.0)
    assert window.features["rss_bytes"] == 5.0
    assert "gpu_percent" not in window.features
    assert "pss_bytes" not in window.features


def test_grams_are_told_by_role_and_only_the_workloads_own(
    windows: Windows, counts: Counts
) -> None:
    grams = {gram.role: gram for gram in build(windows, counts).grams}
    assert set(grams) == {"main", "engine"}
    assert grams["main"].words.tolist() == [11, 13]
    assert grams["main"].counts.tolist() == [5, 7]
    assert build(windows, counts).features["distinct_grams"] == 3.0


def test_grams_do_not_change_when_the_counters_buffer_is_used_again(
    windows: Windows, counts: Counts
) -> None:
    window = build(windows, counts)
    counts.grams["word"] = 0
    assert {int(word) for gram in window.grams for word in gram.words} == {11, 12, 13}


def test_loss_is_carried_into_the_window_by_reason(
    windows: Windows, counts: Counts, types: Schema
) -> None:
    counts.losses[2, types.enum("loss_reason")["LOSS_RING_FULL"]] = 3
    counts.losses[1] = 9
    assert windows.losses(counts, 2) == {"ring_full": 3}
    assert build(windows, counts).lost == 3


def test_items_are_handed_on(windows: Windows, counts: Counts) -> None:
    assert [item.item for item in build(windows, counts).items] == ["/bin/sh"]
