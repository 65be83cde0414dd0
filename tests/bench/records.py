"""How many kernel records the collectors read per second, on one core."""

import time
from collections.abc import Iterator

import numpy as np

from collectors.records import Records
from probes.loader import OBJECT
from probes.ring import Batch
from probes.schema import Schema, load
from tests.bench.figures import AT_LEAST, Figure, Goal

BATCH = 8192  # what the daemon reads at once
DIRECTORIES = 64


def storm(schema: Schema, count: int = BATCH) -> Batch:
    """Return first-seen files of one workload in many directories: what a flood looks like."""
    records = np.zeros(count, schema.dtype("file_event"))
    headers = records["hdr"]
    headers["kind"] = schema.enum("event_kind")["EVENT_FILE"]
    headers["flags"] = schema.enum("event_flag")["FLAG_READ"]
    headers["workload"] = 1
    headers["pid"] = headers["tid"] = 4711
    headers["time_ns"] = np.arange(count)
    records["ino"] = np.arange(count)
    paths = [b"/srv/data/%d/file-%d" % (at % DIRECTORIES, at) for at in range(count)]
    records["path"] = np.array(paths, dtype=f"S{records['path'].dtype.itemsize}")
    return Batch(records.view(np.uint8).reshape(count, -1), schema)


def measure(count: int) -> Iterator[Figure]:
    """Read `count` records in batches, in this process alone."""
    schema = load(OBJECT)
    batch = storm(schema)
    records = Records(schema)
    rounds = max(1, count // BATCH)
    records.feed(batch)
    began = time.process_time()
    for _ in range(rounds):
        records.feed(batch)
    spent = time.process_time() - began
    note = f"{rounds * BATCH:,} first-seen files, CPU time of one core"
    goal = Goal(AT_LEAST, 2e6)
    yield Figure("records/s through the collectors", rounds * BATCH / spent, "1/s", goal, note)
    few = storm(schema, 256)
    began = time.process_time()
    for _ in range(rounds):
        records.feed(few)
    spent = time.process_time() - began
    note = "each told by its own path"
    yield Figure("records/s, one by one", rounds * len(few) / spent, "1/s", note=note)
