"""Who computes beside a workload, and who hides from NVML, is told once each."""

from agent.daemon.gpu_signals import GpuSignals
from agent.daemon.registry import Found
from collectors.gpu import GpuDevice, GpuMismatch, GpuProcess, GpuReading, GpuState
from collectors.gpu_holders import GpuHolder

SERVER = Found("embedder", "vllm", 7, pids=frozenset({100, 101}))
IDLE = Found("other", "vllm", 8, pids=frozenset({500}))
COMPUTES, MONITORS = ("nvidia-uvm", "nvidia0"), ("nvidia0", "nvidiactl")


def member(number: int, pid: int) -> tuple[int, int]:
    return (7, 2) if pid == 100 else (number, 0)


def look(
    signals: GpuSignals, *holders: GpuHolder, mismatches: tuple[GpuMismatch, ...] = ()
) -> list[tuple[str, str, str, int]]:
    reading = GpuReading(GpuState.READY, "", (), holders, mismatches)
    found = signals.look(reading, [SERVER, IDLE], member, 1)
    return [(name, one.kind, one.item, one.pid) for name, one in found]


def test_a_program_that_computes_beside_a_workload_is_told_to_it_once() -> None:
    signals = GpuSignals()
    mine, other = GpuHolder(100, COMPUTES), GpuHolder(900, COMPUTES)
    assert look(signals, mine, other) == [("embedder", "stranger", "/dev/nvidia-uvm", 900)]
    assert look(signals, mine, other) == []
    assert look(signals, mine) == []
    assert look(signals, mine, other) != []


def test_a_monitor_is_none() -> None:
    assert look(GpuSignals(), GpuHolder(100, COMPUTES), GpuHolder(900, MONITORS)) == []


def test_where_no_workload_computes_nobody_is_beside_it() -> None:
    assert look(GpuSignals(), GpuHolder(900, COMPUTES)) == []


def test_two_workloads_on_one_gpu_are_no_strangers() -> None:
    assert look(GpuSignals(), GpuHolder(100, COMPUTES), GpuHolder(500, COMPUTES)) == []


def test_who_is_not_listed_is_told_when_two_looks_agree() -> None:
    signals, hidden = GpuSignals(), (GpuMismatch(101, "unlisted"), GpuMismatch(999, "unheld"))
    assert look(signals, mismatches=hidden) == []
    assert look(signals, mismatches=hidden) == [("embedder", "gpu", "nvml-unlisted", 101)]
    assert look(signals, mismatches=hidden) == []


def test_without_a_reading_nothing_is_told() -> None:
    assert list(GpuSignals().look(None, [SERVER], member, 1)) == []


def device(ecc: int | None, *xids: int) -> GpuDevice:
    on_it = (GpuProcess(101, None), GpuProcess(100, None), GpuProcess(999, None))
    return GpuDevice(0, "", "", None, None, None, None, on_it, ecc, xids)


def failures(signals: GpuSignals, ecc: int | None, *xids: int) -> list[tuple[str, str]]:
    reading = GpuReading(GpuState.READY, "", (device(ecc, *xids),))
    return [(name, one.item) for name, one in signals.look(reading, [SERVER, IDLE], member, 1)]


def test_errors_of_a_gpu_are_told_to_the_workload_on_it() -> None:
    assert failures(GpuSignals(), None, 79, 31, 79) == [
        ("embedder", "xid 79"),
        ("embedder", "xid 31"),
    ]


def test_memory_errors_are_told_when_there_are_more() -> None:
    signals = GpuSignals()
    assert failures(signals, 5) == []
    assert failures(signals, 5) == []
    assert failures(signals, 6) == [("embedder", "ecc-errors")]


def test_the_same_answer_twice_is_told_once() -> None:
    signals, reading = GpuSignals(), GpuReading(GpuState.READY, "", (device(None, 79),))
    assert len(list(signals.look(reading, [SERVER], member, 1))) == 1
    assert list(signals.look(reading, [SERVER], member, 2)) == []
