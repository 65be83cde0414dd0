"""What else the agent uses on this host: bcc, a GPU, disk, and the way to central."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent.config import Settings
from agent.control import request
from agent.doctor.findings import Finding, State
from agent.errors import AgentError, NotRunningError
from agent.operator.directory import Found, look

_BCC_S: Final = 30.0
_ENTRY_KIB: Final = 4  # a verdict in the log
_CONNECT_S: Final = 2.0
_LIVE_S: Final = 60.0  # every deed, and two windows
_PROBE_FIX: Final = "mend its files as inferward-probes.d(5) says, then reload the agent"
_MIB: Final = 1024 * 1024


def bcc() -> Finding:
    """Import the distribution's bcc in a process of its own, as its worker does."""
    script = "import bcc; bcc.BPF"
    try:
        tried = subprocess.run(
            [sys.executable, "-c", script], capture_output=True, timeout=_BCC_S, check=False
        )
    except subprocess.TimeoutExpired:
        return Finding("bcc", State.LIMITED, f"no answer in {_BCC_S:.0f} s", "try again when idle")
    if tried.returncode == 0:
        return Finding("bcc", State.OK, "importable: operator probes, names in user stacks")
    words = "not importable: no operator probes, no names in user stacks"
    fix = "install the distribution's python3-bpfcc (never the PyPI package called bcc)"
    return Finding("bcc", State.LIMITED, words, fix)


def gpu(devices: Iterable[Path]) -> Finding:
    """Ask NVML. No GPU is a normal state; a GPU that NVML does not see is not."""
    import pynvml  # noqa: PLC0415 - for this check alone

    held = [device.name for device in devices]
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        if not held:
            return Finding("GPU", State.OK, "none on this host; nothing is missing")
        words = f"{', '.join(held)} but NVML says: {error}"
        return Finding("GPU", State.LIMITED, words, "install the driver's libnvidia-ml.so.1")
    try:
        count = pynvml.nvmlDeviceGetCount()
        handles = [pynvml.nvmlDeviceGetHandleByIndex(index) for index in range(count)]
        names = [str(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
        driver = pynvml.nvmlSystemGetDriverVersion()
    finally:
        pynvml.nvmlShutdown()
    return Finding("GPU", State.OK, f"{', '.join(names) or 'none'}; driver {driver}")


def disk(settings: Settings) -> Finding:
    """Compare what the stores may grow to with what is free."""
    place = settings.paths.state
    while not place.exists():
        place = place.parent
    free_mib = shutil.disk_usage(place).free // _MIB
    wanted_mib = settings.store.keep_entries * _ENTRY_KIB // 1024 + settings.ship.outbox_mib
    words = f"{free_mib} MiB free at {place}, of which the agent uses up to {wanted_mib}"
    if free_mib >= wanted_mib:
        return Finding("disk", State.OK, words)
    return Finding("disk", State.LIMITED, words, "make room, or lower store.keep_entries")


def operator_probes(settings: Settings) -> list[Finding]:
    """Name each operator probe: as the running agent has it, else as its files are."""
    try:
        probes = request(settings.paths.run, "status")["probes"]
    except AgentError:  # none runs here, or it does not answer us
        return [_as_written(one) for one in look(settings.paths.probes)]
    return [as_running(one) for one in probes]


def as_running(probe: Mapping[str, Any]) -> Finding:
    """Say how one entry of the status is."""
    name, state, why = f"operator probe {probe['name']}", probe["state"], probe["reason"]
    if probe["failing"]:
        return Finding(name, State.LIMITED, f"{state}: {why}", _PROBE_FIX)
    told = f"{state}, {probe['events']} events, {probe['lost']} lost"
    return Finding(name, State.OK, f"{told}: {why}" if why else told)


def _as_written(found: Found) -> Finding:
    name = f"operator probe {found.name}"
    if found.why:
        return Finding(name, State.LIMITED, found.why, _PROBE_FIX)
    return Finding(name, State.OK, "declared without a mistake; no agent runs that could try it")


def central(settings: Settings) -> list[Finding]:
    """Try to reach every configured central."""
    return [_reach(endpoint) for endpoint in settings.ship.endpoints]


def running(settings: Settings) -> list[Finding]:
    """Do one of everything, and ask the running agent what it saw; without one, our own probes."""
    try:
        told = request(settings.paths.run, "doctor_live", timeout_s=_LIVE_S)
    except NotRunningError:
        return _without_agent(settings)
    except AgentError as error:
        return [Finding("live", State.LIMITED, str(error), "see the agent's log, then ask again")]
    return _plain(told)


def _without_agent(settings: Settings) -> list[Finding]:
    from agent.daemon.selftest import alone  # noqa: PLC0415 - numpy and ctypes, for this alone
    from probes.errors import ProbeError  # noqa: PLC0415

    pins = settings.paths.pins.with_name(f"{settings.paths.pins.name}-doctor-{os.getpid()}")
    try:
        told = alone(pins)
    except (ProbeError, OSError) as error:
        return [Finding("live", State.MISSING, str(error), "run it as root; see above")]
    words = "no agent runs: with probes of the doctor's own, which are gone again"
    return [Finding("live", State.OK, words), *_plain(told)]


def _plain(told: Iterable[Mapping[str, str]]) -> list[Finding]:
    return [
        Finding(one["name"], State(one["state"]), one["words"], one.get("fix", "")) for one in told
    ]


def _reach(endpoint: str) -> Finding:
    address = urlsplit(endpoint)
    with suppress(OSError):
        socket.create_connection((address.hostname or "", address.port or 0), _CONNECT_S).close()
        return Finding("central", State.OK, f"{endpoint} accepts connections")
    fix = "start `agent central` there, or open the port; until then verdicts wait on disk"
    return Finding("central", State.LIMITED, f"{endpoint} accepts no connection", fix)
