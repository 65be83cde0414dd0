"""GPU readings beside the loop: a driver that hangs, hangs only this thread."""

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

from agent.daemon.gpu_calls import GpuCalls
from collectors.gpu import GpuReader, GpuReading
from collectors.processes import snapshot

LATE_READS: Final = 3
"""Ticks without an answer after which the reading counts as none."""


class Devices:
    """Asks for a reading at each tick, and keeps the last.

    Attributes:
        calls: What the kernel counts, whether or not NVML answers.
        last: None where nothing is known, or not any more.
    """

    def __init__(self, calls: GpuCalls) -> None:
        """Load the driver's library in the thread that will use it."""
        self.calls = calls
        calls.look()
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="gpu")
        self._reader = self._worker.submit(GpuReader.open)
        self._job: Future[GpuReading] | None = None
        self._late = 0
        self.last: GpuReading | None = None

    def tick(self, _now_ns: int) -> None:
        """Collect the answer to the last question, and ask the next."""
        self.calls.look()
        if self._job is not None and not self._job.done():
            self._late += 1
            if self._late >= LATE_READS:
                self.last = None  # not known any more, and never 0
            return
        if self._job is not None:
            self.last, self._late = self._job.result(), 0
        self._job = self._worker.submit(self._read)

    def _read(self) -> GpuReading:
        return self._reader.result().read(snapshot())

    def readings(self, pids: frozenset[int]) -> dict[str, float]:
        """A workload's features; empty where nothing is known."""
        return {} if self.last is None else self.last.of(pids)

    def status(self) -> dict[str, Any]:
        """What `agent status` shows; no GPU is a normal state."""
        calls = {"device calls": self.calls.status()}
        if self.last is None:
            words = "no answer yet" if not self._late else "hangs"
            return {"state": "unknown", "words": words} | calls
        last = self.last
        return {
            "state": last.state.value,
            "words": last.words,
            "devices": [
                {
                    "index": device.index,
                    "name": device.name,
                    "memory_used_bytes": device.memory_used_bytes,
                    "memory_total_bytes": device.memory_total_bytes,
                    "percent": device.percent,
                    "clock_mhz": device.clock_mhz,
                    "clock_limit_mhz": device.clock_limit_mhz,
                    "mig": device.mig,
                    "ecc_errors": device.ecc_errors,
                    "processes": None if device.processes is None else len(device.processes),
                }
                for device in last.devices
            ],
            "holders": [{"pid": h.pid, "devices": list(h.devices)} for h in last.holders],
            "mismatches": [{"pid": m.pid, "kind": m.kind} for m in last.mismatches],
        } | calls

    def close(self) -> None:
        """Leave the thread to itself."""
        self._worker.shutdown(wait=False, cancel_futures=True)
