"""What this kernel, these privileges and this GPU allow, each tried, with a fix for the rest."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from agent.config import Settings
from agent.doctor import host, kernel, programs
from agent.doctor.findings import Examination, Finding, State
from agent.errors import KernelError, PrivilegeError

__all__ = ["Examination", "Finding", "State", "demand", "examine", "needs"]

_LSM: Final = Path("/sys/kernel/security/lsm")


def needs() -> Examination:
    """Look only at what the agent cannot run without; takes milliseconds."""
    return Examination.of(_needs())


def demand(examination: Examination) -> None:
    """Refuse to go on with what keeps the agent from running.

    Raises:
        PrivilegeError: Privileges are missing; nothing else is worth saying then.
        KernelError: Something else is, in the doctor's words.
    """
    if any(finding.name == "privileges" for finding in examination.missing):
        raise PrivilegeError("The agent")
    if examination.missing:
        words = (f"{one.name}: {one.words} ({one.fix})" for one in examination.missing)
        raise KernelError("; ".join(words))


def examine(settings: Settings, *, live: bool = False) -> Examination:
    """Look at everything, and try what can be tried; takes seconds.

    Args:
        settings: Where things should lie, and who is to be reached.
        live: Also ask the running agent.
    """
    return Examination.of(_all(settings, live=live))


def _needs() -> Iterator[Finding]:
    host_name = os.uname()
    yield kernel.version(host_name.release, host_name.machine)
    yield kernel.btf(Path("/sys/kernel/btf/vmlinux"))
    yield kernel.capabilities(Path("/proc/self/status").read_text(encoding="ascii"))
    yield from kernel.mounts(Path("/proc/self/mountinfo").read_text(encoding="utf-8"))


def _all(settings: Settings, *, live: bool) -> Iterator[Finding]:
    needed = tuple(_needs())
    yield from needed
    if any(finding.name == "privileges" and finding.state is not State.OK for finding in needed):
        yield Finding("probes", State.MISSING, "not tried without privileges", "run it as root")
    else:
        lsm = _LSM.read_text(encoding="ascii") if _LSM.exists() else None
        yield from programs.try_all(lsm)
    yield host.bcc()
    yield from host.operator_probes(settings)
    yield host.gpu(sorted(Path("/dev").glob("nvidia[0-9]*")))
    yield host.disk(settings)
    yield from host.central(settings)
    if live:
        yield from host.running(settings)
