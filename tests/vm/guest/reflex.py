"""In the machine: acts that a guarded workload was not learnt to do, in a loop; none succeeds.

Each row is an act by a workload that has every reflex: not learnt, learnt, and rehearsed.
"""

import os
import subprocess
import tempfile
import time
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from agent.doctor.programs import tier
from collectors.records import Records
from probes.loader import Sensor, remove
from probes.reflex import ACTS as WORDS
from probes.reflex import Grant, Order, ReflexMaps, of_file, of_peer
from probes.sensitive import kernel_device, mark
from probes.trial import probe_capabilities
from tests.vm.guest.guard import ACTS, LSM, SKIPPED, Stage

PINS: Final = Path("/sys/fs/bpf/inferward-reflex")
WORKLOAD: Final = 1
TCP: Final = 6
LIMIT: Final = 8
PHASE_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Row:
    """An act, what grants it, and how it is told."""

    name: str
    arguments: tuple[str, ...]
    grant: Grant
    kind: str
    item: str


def rows(stage: Stage) -> tuple[Row, ...]:
    """Every reflex once, a secret by itself and below a directory."""
    kind = "reflex-secret"
    return (
        Row("exec", (), _file("REFLEX_EXEC", str(ACTS)), "reflex-exec", str(ACTS)),
        Row("open-read", (stage.listed,), _file("REFLEX_SECRET", stage.listed), kind, stage.listed),
        Row("open-read", (stage.below,), _file("REFLEX_SECRET", stage.below), kind, stage.below),
        Row(
            "connect-inet", (stage.tcp,), of_peer(TCP, "127.0.0.1", int(stage.tcp)),
            "reflex-connect", f"tcp 127.0.0.1:{stage.tcp}",
        ),
    )  # fmt: skip


def _file(act: str, path: str) -> Grant:
    found = os.stat(path)  # noqa: PTH116 - text in, numbers out
    return of_file(act, kernel_device(found.st_dev), found.st_ino)


class Rig:
    """The sensor, and one workload after the other of the same number."""

    def __init__(self, sensor: Sensor) -> None:
        """Take the maps."""
        self.sensor = sensor
        self.maps = ReflexMaps(sensor.maps, sensor.schema)
        self.records = Records(sensor.schema)

    def order(self, grants: tuple[Grant, ...], *, dry: bool = False) -> None:
        """Begin anew with every reflex, and with these learnt."""
        self.maps.cancel(WORKLOAD)
        self.maps.allow(WORKLOAD, grants)
        until_ns = time.monotonic_ns() + 600 * 10**9
        self.maps.order(WORKLOAD, Order(frozenset(WORDS), until_ns, LIMIT, 600.0, dry))

    def told(self) -> set[tuple[str, str, str]]:
        """Kind, item and outcome of what the records tell of reflexes."""
        found = set()
        while self.sensor.ring.waiting:
            for one in self.records.feed(self.sensor.ring.peek()):
                if one.kind.startswith("reflex-"):
                    outcome = one.marks & {"denied", "stopped", "rehearsed", "spared"}
                    found.add((one.kind, one.item, min(outcome)))
            self.sensor.ring.advance()
        return found

    def member(self, pid: int) -> None:
        """Make it the workload's."""
        member = np.zeros(1, self.sensor.schema.dtype("member"))
        member["workload"] = WORKLOAD
        self.sensor.maps["members"].set(np.uint32(pid).tobytes(), member.tobytes())
        self.sensor.adopt()

    def attempt(self, row: Row) -> bool:
        """Print the row; whether it is as it must be."""
        with subprocess.Popen(
            [ACTS, row.name, str(PHASE_S), *row.arguments],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
        ) as process:  # fmt: skip
            assert process.stdin is not None
            assert process.stdout is not None
            self.member(process.pid)
            came, told = [], []
            for grants, dry in (((), False), ((row.grant,), False), ((), True)):
                self.told()
                self.order(grants, dry=dry)
                process.stdin.write("go\n")
                tried, _, succeeded = process.stdout.readline().partition(" ")
                came.append((int(tried or 0), int(succeeded or 0)))
                told.append(self.told())
        self.maps.cancel(WORKLOAD)
        (tries, through), (_, learnt), (dry_tries, passed) = came
        good = tries > 0 and through == 0 and learnt > 0 and 0 < passed == dry_tries
        expected = [{(row.kind, row.item, "denied")}, set(), {(row.kind, row.item, "rehearsed")}]
        good = good and told == expected
        end = "" if good else f"  WRONG: {came}, told {told}"
        print(f"{row.kind:<16} {tries:>8} tried {through:>4} succeeded{end}", flush=True)
        return good


def main() -> int:
    """0 if all is as it must be, 77 and the doctor's words in tier `trace`."""
    sensor = Sensor.open(PINS)
    try:
        if sensor.tier != "guard":
            lsm = LSM.read_text("ascii") if LSM.exists() else None
            print(tier(probe_capabilities(), lsm).words)
            return SKIPPED
        rig = Rig(sensor)
        with ExitStack() as stack:
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            stage = Stage(folder, stack)
            secrets = [stage.listed, str(folder / "credentials")]
            mark(sensor.maps["sensitive"], sensor.schema, secrets)
            right = [rig.attempt(row) for row in rows(stage)]
        print(f"{sum(right)} of {len(right)} reflexes answer as they must")
    finally:
        sensor.close()
        remove(PINS)
    return 0 if all(right) else 1


if __name__ == "__main__":
    raise SystemExit(main())
