"""What watched workloads ask of their GPU: probes on the driver's library, in a worker.

Whatever waits is done in one thread beside the loop: reading libraries, attaching (each
place of code, in each process that maps it), letting go, and hashing GPU code.
"""

import os
import time
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from agent.config.schema import Settings
from agent.log import log
from agent.powers import LOAD, raised
from collectors import cuda, elf
from collectors.counters import Counts
from collectors.cuda import File
from collectors.elf import ElfError
from collectors.installed import NO_PACKAGE, Installed, installed
from collectors.processes import Process
from collectors.sightings import Sighting
from probes.cuda import BY_NAME, CudaProbes, Function, asked_for
from probes.errors import ProbeError
from probes.libbpf import Link
from probes.schema import Schema

MOST_WAITING: Final = 1_024
"""GPU code that waits to be hashed; more is told without its digest."""

MOST_COMPARED: Final = 256
"""Libraries compared with their packages: a driver has some twenty, and a container its own."""

MOST_PROCESSES: Final = 4_096
"""Whose mappings are remembered, as many as `Lineage` remembers."""

RELEASE_LOOKS: Final = 12
"""Looks (5 s each) without a watched process that maps a library before its probes are let go: a
server that restarts is seen from its first call."""

_RATES: Final = {
    "COUNT_GPU_LAUNCHES": "gpu_launches",
    "COUNT_GPU_SENT_BYTES": "gpu_sent_bytes",
    "COUNT_GPU_FETCHED_BYTES": "gpu_fetched_bytes",
    "COUNT_GPU_COPIED_BYTES": "gpu_copied_bytes",
    "COUNT_GPU_MODULES": "gpu_modules",
    "COUNT_GPU_CONTEXTS": "gpu_contexts",
}


@dataclass(slots=True)
class _Library:
    path: str
    fd: int
    places: set[int] = field(default_factory=set)
    links: list[Link] = field(default_factory=list)
    unused_looks: int = 0


class Cuda:
    """Attaches where a workload maps the driver's library, and names what it loads.

    Args:
        settings: Where the probes' maps are pinned, and whether launches are counted: a server may
            make a hundred thousand a second.
        schema: Of the loaded object.
        post: Runs something in the loop.
        deliver: Hands a finished sighting on, in the loop.
    """

    def __init__(
        self,
        settings: Settings,
        schema: Schema,
        post: Callable[[Callable[[], None]], None],
        deliver: Callable[[Sighting], None],
    ) -> None:
        """Attach to nothing; the object is loaded when the first library is seen."""
        launches = settings.gpu.launches
        self._wanted = {
            name: function
            for name, function in BY_NAME.items()
            if launches or function.act != "GPU_LAUNCH"
        }
        self._pins, self._schema = settings.paths.pins, schema
        self._post, self._deliver = post, deliver
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="cuda")
        self._probes: CudaProbes | None = None
        self._libraries: dict[File, _Library] = {}
        self._refused: dict[File, str] = {}
        self._origins: dict[File, tuple[str, Installed]] = {}
        self._users: frozenset[int] = frozenset()
        self._held: Mapping[int, int] = {}
        self._owners: dict[int, int] = {}
        self._waiting = 0
        self._looking = False
        self._mapping: dict[tuple[int, int], tuple[int, bool]] = {}
        rates = set(_RATES) - (set() if launches else {"COUNT_GPU_LAUNCHES"})
        self._counters = {n: i for n, i in schema.enum("counter").items() if n in rates}
        self._prefix_bytes = schema.limit("GPU_PREFIX_BYTES")

    def maps_driver(self, process: Process) -> bool:
        """Whether it maps a library of the driver; read anew where its address space changed.

        What is mapped into the very room that another mapping left is told by the kernel.
        """
        known = self._mapping.get(process.identity)
        if known is None or known[0] != process.virtual_bytes:
            if len(self._mapping) >= MOST_PROCESSES:
                self._mapping.clear()
            maps = any(map(cuda.DRIVER.match, process.mapped_names))
            known = self._mapping[process.identity] = process.virtual_bytes, maps
        return known[1]

    def look(self, users: Mapping[int, Iterable[int]]) -> None:
        """Keep the probes in step with what is mapped.

        Args:
            users: Watched processes that map a library of the driver, by workload.
        """
        self._users = frozenset(users)
        self._owners = {pid: number for number, mine in users.items() for pid in mine}
        pids = [pid for mine in users.values() for pid in mine]
        if (pids or self._libraries) and not self._looking:
            self._looking = True
            self._worker.submit(self._look, pids)

    def take(self, sighting: Sighting) -> bool:
        """Whether it is handed on later, if at all: its rest is found out beside the loop."""
        if sighting.kind == "library" and cuda.DRIVER.match(sighting.item.rpartition("/")[2]):
            self._users |= {sighting.workload}
            self._owners[sighting.pid] = sighting.workload
            self._worker.submit(self._attend, [sighting.pid])
        if sighting.kind != "gpu" or not sighting.frames:
            return False
        if "function" in sighting.marks:
            self._worker.submit(self._told, sighting)
        elif self._waiting < MOST_WAITING:
            self._waiting += 1
            self._worker.submit(self._name, sighting)
        else:
            self._deliver(replace(sighting, item="load code that was not read: too much waits"))
        return True

    def readings(self, counts: Counts, number: int, length_s: float) -> dict[str, float]:
        """A workload's features; empty where no library of it is attached to."""
        if number not in self._users or not self._libraries:
            return {}
        named = counts.named(counts.totals, self._counters, number)
        found = {_RATES[name]: count / length_s for name, count in named.items()}
        return found | {"gpu_held_bytes": float(self._held.get(number, 0))}

    def status(self) -> dict[str, Any]:
        """Libraries that are attached to, those beside them, and those that could not be."""
        libraries, origins = dict(self._libraries), dict(self._origins)
        return {
            "libraries": [
                {
                    "path": one.path,
                    "functions": len(one.places),
                    "origin": origins.get(file, ("", NO_PACKAGE))[1].words,
                }
                for file, one in libraries.items()
            ],
            "beside": [
                {"path": path, "origin": origin.words}
                for file, (path, origin) in origins.items()
                if file not in libraries
            ],
            "refused": sorted(set(self._refused.values())),
        }

    def _look(self, pids: list[int]) -> None:
        try:
            used = self._attend(pids)
            self._compare(os.getpid(), cuda.drivers(os.getpid())[1])  # NVML, which tells us
            for file, library in list(self._libraries.items()):
                library.unused_looks = 0 if file in used else library.unused_looks + 1
                if library.unused_looks > RELEASE_LOOKS:
                    self._release(file)
            if self._probes is not None:
                self._held = self._probes.held_bytes()
        except ProbeError as error:
            log.once("cuda.failed", why=error)
        finally:
            self._looking = False

    def _attend(self, pids: Iterable[int]) -> set[File]:
        """Attach to what these processes map; which libraries that is."""
        used: set[File] = set()
        for pid in pids:
            drivers, beside = cuda.drivers(pid)
            for file, path in drivers.items():
                used.add(file)
                if file not in self._libraries and file not in self._refused:
                    self._attach(pid, file, path)
            self._compare(pid, drivers | beside)
        return used

    def _compare(self, pid: int, found: Mapping[File, str]) -> None:
        """Hold libraries against their packages, also where the kernel takes no probes on them."""
        fresh = {file: path for file, path in found.items() if file not in self._origins}
        for file, path in fresh.items():
            if len(self._origins) < MOST_COMPARED:
                self._compare_one(pid, file, path)

    def _compare_one(self, pid: int, file: File, path: str) -> None:
        fd = cuda.opened(pid, file, path)
        if fd is None:
            return
        try:
            origin = installed(fd, path)
        finally:
            os.close(fd)
        self._origins[file] = path, origin
        if origin.changed:
            self._post(partial(self._deliver, self._replaced(pid, path, origin)))

    def _attach(self, pid: int, file: File, path: str) -> None:
        fd = cuda.opened(pid, file, path)
        if fd is None:
            self._refuse(file, f"{path}: the mapped file is not there any more")
            return
        library = _Library(path, fd)
        try:
            if self._probes is None:
                with raised(*LOAD):
                    self._probes = CudaProbes(self._pins, self._schema)
            for name, place in elf.functions(fd, self._wanted).items():
                if place not in library.places:  # one function may have several names
                    self._attach_one(self._probes, library, place, self._wanted[name])
        except (ProbeError, ElfError) as error:
            self._refuse(file, f"{path}: {error}")
        if not library.links:
            self._refused.setdefault(file, f"{path}: it exports none of the driver's functions")
            os.close(fd)
            return
        self._libraries[file] = library
        log.info("cuda.attached", path=path, functions=len(library.places))

    @staticmethod
    def _attach_one(probes: CudaProbes, library: _Library, place: int, function: Function) -> None:
        with raised(*LOAD):
            library.links += probes.attach(library.fd, place, function)
        library.places.add(place)

    def _replaced(self, pid: int, path: str, origin: Installed) -> Sighting:
        """A driver's library that is not its package's, as a deed of the workload that maps it."""
        item = f"driver {path} is {origin.words}"
        number = self._owners.get(pid, 0)
        return Sighting("gpu", item, number, 0, time.monotonic_ns(), pid, 0, 0, 0, 0, "")

    def _refuse(self, file: File, words: str) -> None:
        self._refused[file] = words
        log.warning("cuda.refused", why=words)

    def _release(self, file: File) -> None:
        library = self._libraries.pop(file)
        for link in library.links:
            link.close()
        os.close(library.fd)
        log.info("cuda.released", path=library.path)

    def _told(self, sighting: Sighting) -> None:
        """The driver gave an address by a function's name; one that it exports is known."""
        found = cuda.place(sighting.pid, sighting.frames[0])
        function = asked_for(sighting.item)
        library = None if found is None else self._libraries.get(found[0])
        if found is None or library is None or function is None or found[1] in library.places:
            return
        uncounted = function.name not in self._wanted or function.act == "GPU_LOOKUP"
        if self._probes is not None and not uncounted:
            try:
                self._attach_one(self._probes, library, found[1], function)
            except ProbeError as error:
                log.once("cuda.refused", why=f"{library.path}: {sighting.item}: {error}")

    def _name(self, sighting: Sighting) -> None:
        address, prefix, size = sighting.frames
        code = cuda.code(sighting.pid, address, size, prefix, self._prefix_bytes)
        marks = sighting.marks | ({"changed"} if code.changed else set())
        named = replace(sighting, item=f"load {code.words}", marks=marks, size=code.size)
        self._post(lambda: self._done(named))

    def _done(self, sighting: Sighting) -> None:
        self._waiting -= 1
        self._deliver(sighting)

    def close(self) -> None:
        """Let the worker end; the kernel takes the probes away with this process."""
        self._worker.shutdown(wait=False, cancel_futures=True)
