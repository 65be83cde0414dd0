"""The probes over known workloads: a program waits at a gate, is watched, does its deed."""

import os
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from collectors.counters import Counters
from collectors.records import Records
from collectors.sightings import Sighting
from probes.loader import Sensor
from probes.sensitive import kernel_device
from tests.host import nets

LIMIT_S: Final = 20.0
HERE: Final = Path(__file__).parent
# Kept here: a virtual machine gets them with the tests, and has no compiler.
DEEDS: Final = HERE / "build" / "deeds"
RINGS: Final = HERE / "build" / "rings"
ACTS: Final = HERE / "build" / "acts"
FOREIGN: Final = HERE / "build" / "foreign"
CHANGES: Final = HERE / "build" / "changes"
WAYS: Final = HERE / "build" / "ways"
LIBRARY: Final = HERE / "build" / "libdeed.so"
_WORD: Final = 511  # of one call in a 7-gram's word


@dataclass(slots=True)
class Seen:
    """What the probes told of one workload, added up over readings."""

    sightings: list[Sighting] = field(default_factory=list)
    totals: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)
    words: Counter[int] = field(default_factory=Counter)
    traffic: Counter[tuple[str, str]] = field(default_factory=Counter)
    connections: Counter[tuple[str, str]] = field(default_factory=Counter)
    moved: Counter[str] = field(default_factory=Counter)
    output: str = ""

    @property
    def calls(self) -> Counter[int]:
        """How often each call number was made, from the exact 7-gram counts."""
        calls: Counter[int] = Counter()
        for word, count in self.words.items():
            calls[(word & _WORD) - 1] += count
        return calls

    def items(self, kind: str) -> list[str]:
        """What was sighted of one kind, in order."""
        return [s.item for s in self.sightings if s.kind == kind]

    def marks(self, kind: str, item: str) -> frozenset[str]:
        """Marks of the first sighting of this kind whose item ends so."""
        return next(s.marks for s in self.sightings if s.kind == kind and s.item.endswith(item))


def _stale(made: Path, source: Path) -> bool:
    made.parent.mkdir(exist_ok=True)
    return not made.exists() or made.stat().st_mtime < source.stat().st_mtime


def build(program: Path) -> None:
    """Compile a known workload if its source changed since."""
    source = HERE / f"{program.name}.c"
    if _stale(program, source):
        flags = ("-O1", "-Wall", "-Wextra", "-Werror", "-pthread", "-static")
        subprocess.run(["gcc", *flags, "-o", program, source], check=True)


def build_library() -> None:
    """The same, of a library whose one function must show in a stack."""
    source = HERE / "deed.c"
    if _stale(LIBRARY, source):
        flags = ("-fno-omit-frame-pointer", "-fno-optimize-sibling-calls", "-shared", "-fPIC")
        subprocess.run(["gcc", "-O1", *flags, "-o", LIBRARY, source], check=True)


def assemble(program: Path) -> None:
    """The same, of a 32-bit program: it needs no 32-bit libc."""
    source = HERE / f"{program.name}.s"
    if not _stale(program, source):
        return
    piece = program.with_suffix(".o")
    subprocess.run(["as", "--32", "-o", piece, source], check=True)
    subprocess.run(["ld", "-m", "elf_i386", "-o", program, piece], check=True)


def build_all() -> None:
    """Compile every known workload, also for a machine that has no compiler."""
    build(DEEDS)
    build(RINGS)
    build(ACTS)
    build(CHANGES)
    build(WAYS)
    build_library()
    assemble(FOREIGN)


class Gated:
    """A program at its gate."""

    def __init__(self, command: list[str | Path], number: int) -> None:
        """Start it and wait until it is ready."""
        self.number = number
        self.process = subprocess.Popen(
            [str(part) for part in command],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
            start_new_session=True,
        )
        assert self.hear() == "ready", self.process.communicate(timeout=LIMIT_S)[1]

    @property
    def pid(self) -> int:
        """Of the program."""
        return self.process.pid

    def hear(self) -> str:
        """Its next line."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def tell(self, line: str = "go") -> None:
        """Open the gate, once more if it has several."""
        assert self.process.stdin is not None
        self.process.stdin.write(line + "\n")

    def end(self) -> str:
        """Let it finish; what else it printed."""
        output, errors = self.process.communicate(timeout=LIMIT_S)
        assert self.process.returncode in {0, -6, -9, -11}, errors
        return output


class Eyes:
    """One sensor; every deed is a workload of its own number, so deeds share nothing."""

    def __init__(self, sensor: Sensor, work: Path) -> None:
        """Begin with what the sensor counts from now on."""
        self.sensor = sensor
        build_all()
        self.records = Records(sensor.schema)
        self.counters = Counters(sensor, work / "run")
        self._totals = sensor.schema.enum("counter")
        self._losses = sensor.schema.enum("loss_reason")
        ways = ("read", "written", "mapped")  # in the order of enum file_direction
        self._moved = [
            f"{way} {name.removeprefix('FILE_').lower()}"
            for name in sensor.schema.enum("file_class")
            if name != "FILE_CLASS_MAX"
            for way in ways
        ]
        self._last = 0
        self._seen: dict[int, Seen] = {}

    def workload(self) -> int:
        """A number no deed has had."""
        self._last += 1
        return self._last

    def watch(self, pid: int, number: int, role: int = 0) -> int:
        """Make a thread group and what it forked members; how many threads were tagged."""
        entry = np.zeros(1, self.sensor.schema.dtype("member"))
        entry["workload"], entry["role"] = number, role
        self.sensor.maps["members"].set(pid.to_bytes(4, "little"), entry.tobytes())
        return self.sensor.adopt()

    def contain(self, number: int, level: str, until_ns: int = 0, *, clients: bool = False) -> None:
        """Write what response would."""
        entry = np.zeros(1, self.sensor.schema.dtype("containment"))
        levels = self.sensor.schema.enum("containment_level")
        entry["level"] = levels[level] | (levels["CONTAIN_CLIENTS"] if clients else 0)
        entry["until_ns"] = until_ns
        self.sensor.maps["contained"].set(number.to_bytes(4, "little"), entry.tobytes())

    def hold(self, path: Path, *numbers: int) -> None:
        """Note whose file this is, as the agent does."""
        found = path.stat()
        key = np.zeros(1, self.sensor.schema.dtype("file_key"))
        key["ino"], key["dev"] = found.st_ino, kernel_device(found.st_dev)
        value = np.zeros(1, self.sensor.schema.dtype("file_holders"))
        for number in numbers:
            value["workloads"][0, number // 64] |= 1 << (number % 64)
        self.sensor.maps["held_files"].set(key.tobytes(), value.tobytes())

    def seen(self, number: int) -> Seen:
        """Read everything, return what is one workload's."""
        while self.sensor.ring.waiting:  # a record another processor is still writing is waited for
            for sighting in self.records.feed(self.sensor.ring.peek()):
                self._of(sighting.workload).sightings.append(sighting)
            self.sensor.ring.advance()
        counts = self.counters.read()
        for at in range(len(counts.totals)):
            self._of(at).totals.update(counts.named(counts.totals, self._totals, at))
            self._of(at).losses.update(counts.named(counts.losses, self._losses, at))
            self._of(at).traffic.update(self._flows(counts.peer_bytes[at]))
            self._of(at).connections.update(self._flows(counts.peer_connections[at]))
            for name, amount in zip(self._moved, counts.file_bytes[at], strict=True):
                self._of(at).moved[name] += int(amount)
        for gram in counts.grams:
            self._of(int(gram["workload"])).words[int(gram["word"])] += int(gram["count"])
        return self._of(number)

    def _flows(self, row: NDArray[np.uint64]) -> dict[tuple[str, str], int]:
        """A workload's row by class of peer and flow, in the words of the schema."""
        classes = self.sensor.schema.enum("peer_class")
        flows = self.sensor.schema.enum("peer_flow")
        table = row.reshape(-1, flows["FLOW_MAX"])
        return {
            (peer.removeprefix("PEER_"), flow.removeprefix("FLOW_")): int(table[at, way])
            for peer, at in classes.items()
            for flow, way in flows.items()
            if at < len(table) and way < table.shape[1] and table[at, way]
        }

    def _of(self, number: int) -> Seen:
        return self._seen.setdefault(number, Seen())

    @contextmanager
    def gated(self, *words: str | Path | int, role: int = 0) -> Iterator[Gated]:
        """A watched deed that has not begun; ended however it goes."""
        with self._started([DEEDS, *map(str, words)], role) as gated:
            yield gated

    @contextmanager
    def rings(self, *words: str | Path | int) -> Iterator[Gated]:
        """The same, of what is done through io_uring."""
        with self._started([RINGS, *map(str, words)], 0) as gated:
            yield gated

    @contextmanager
    def acts(self, *words: str | Path | int, role: int = 0) -> Iterator[Gated]:
        """The same, of what a process makes of itself."""
        with self._started([ACTS, *map(str, words)], role) as gated:
            yield gated

    def act(self, *words: str | Path | int, role: int = 0) -> Seen:
        """Run one of those to its end; what was seen of it."""
        with self.acts(*words, role=role) as gated:
            gated.tell()
            output = gated.end()
        seen = self.seen(gated.number)
        seen.output = output
        return seen

    @contextmanager
    def foreign(self) -> Iterator[Gated]:
        """The same, of a 32-bit program."""
        with self._started([FOREIGN], 0) as gated:
            yield gated

    @contextmanager
    def changes(self, *words: str | Path | int) -> Iterator[Gated]:
        """The same, of names and attributes that are changed."""
        with self._started([CHANGES, *map(str, words)], 0) as gated:
            yield gated

    @contextmanager
    def ways(self, *words: str | Path | int) -> Iterator[Gated]:
        """The same, of one thing by each entry that the kernel has for it."""
        with self._started([WAYS, *map(str, words)], 0) as gated:
            yield gated

    @contextmanager
    def python(self, script: str, *words: str | int, inside: str = "") -> Iterator[Gated]:
        """The same, of a script that calls `gate()`; in a network namespace of that name."""
        prelude = "import sys\ndef gate():\n print('ready', flush=True); sys.stdin.readline()\n"
        command: list[str | Path] = [sys.executable, "-ISc", prelude + script, *map(str, words)]
        if inside:
            command = [*nets.inside(inside), *command]
        with self._started(command, 0) as gated:
            yield gated

    @contextmanager
    def _started(self, command: list[str | Path], role: int) -> Iterator[Gated]:
        gated = Gated(command, self.workload())
        try:
            self.watch(gated.pid, gated.number, role)
            yield gated
        finally:
            with suppress(ProcessLookupError):  # it ended, and so did its children
                os.killpg(gated.pid, signal.SIGKILL)
            gated.process.communicate(timeout=LIMIT_S)

    def do(self, *words: str | Path | int, role: int = 0) -> Seen:
        """Run a deed to its end; what was seen of it."""
        with self.gated(*words, role=role) as gated:
            gated.tell()
            output = gated.end()
        seen = self.seen(gated.number)
        seen.output = output
        return seen


def gram(*numbers: int) -> int:
    """The word of the last seven calls, oldest first."""
    word = 0
    for number in numbers:
        word = (word << 9) | (number + 1)
    return word
