"""Boots a kernel under qemu and runs one command in it: `run.py --kernel 6.1 -- COMMAND`.

The machine is emulated (tcg), so that it works where /dev/kvm does not. Its clock counts the
instructions it executed (icount, a nanosecond each) and jumps to the next timer where all sleeps,
so it cannot tell how slow its host is: time limits written for real machines hold there, a busy
host changes no result, and waiting costs nothing. A second of its work takes several of ours.

The command runs as root in the checkout, with .venv first in PATH; its output is streamed here
and its exit status is ours.
"""

import argparse
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.vm import kernels, programs, root

MEMORY_MIB: Final = 3072
SLOWNESS: Final = 30
"""Our seconds for one of the machine's at most: 4 on an idle host, 10 on one that four share."""

CPUS: Final = 2
ONE_CPU: Final = {"6.1"}
"""Series that wait for ever for their second processor where the clock counts instructions."""

CONSOLE_LINES: Final = 40


@dataclass(frozen=True, slots=True)
class Session:
    """What became of one boot. `status` is None where the machine stopped without reporting."""

    kernel: str
    status: int | None
    output: str
    console: str
    seconds: float


def _qemu(cpus: int, vmlinuz: Path, initramfs: Path, console: Path) -> list[str]:
    return [
        "qemu-system-x86_64", "-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off",
        "-rtc", "clock=vm", "-cpu", "max", "-smp", str(cpus),
        "-m", str(MEMORY_MIB), "-nodefaults", "-display", "none", "-no-reboot",
        "-kernel", str(vmlinuz), "-initrd", str(initramfs),
        "-append", "console=ttyS0 loglevel=4 panic=-1 systemd.show_status=0",
        "-serial", f"file:{console}", "-serial", "stdio",
    ]  # fmt: skip


def _follow(machine: subprocess.Popen[str], *, quiet: bool) -> tuple[str, int | None]:
    """Stream what the session prints; return it and the exit status it ended with, if it did."""
    lines: list[str] = []
    status: int | None = None
    for raw in machine.stdout or ():
        line = raw.rstrip("\r\n")
        if line.startswith("session-exit "):
            status = int(line.split()[1])
            continue
        lines.append(line)
        if not quiet:
            print(line, flush=True)
    return "\n".join(lines), status


@dataclass(frozen=True, slots=True)
class Machine:
    """What is booted.

    Attributes:
        series: The newest kernel of it.
        systemd: With systemd as PID 1.
        packages: Of Debian, beside the usual ones.
    """

    series: str
    systemd: bool = False
    packages: tuple[str, ...] = ()


def boot(machine: Machine, command: str, *, limit_s: float = 300, quiet: bool = False) -> Session:
    """Run `command` there, for at most `limit_s` of the machine's own seconds."""
    vmlinuz = kernels.image(machine.series)
    programs.compile_all()
    init = Path(__file__).with_name("init-systemd.sh" if machine.systemd else "init.sh")
    with tempfile.TemporaryDirectory(prefix="inferward-vm-") as folder:
        work = Path(folder)
        initramfs = root.build(work, kernels.CACHE / "vm", init, command, machine.packages)
        console = work / "console"
        began = time.monotonic()
        limit = str(limit_s * SLOWNESS)
        # It ends with whoever booted it, also one that a signal ended.
        argv = ["setpriv", "--pdeathsig", "TERM", "timeout", "--kill-after=5", limit]
        cpus = 1 if machine.series in ONE_CPU else CPUS
        argv += _qemu(cpus, vmlinuz, initramfs, console)
        with subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, errors="replace"
        ) as process:
            output, status = _follow(process, quiet=quiet)
        seconds = time.monotonic() - began
        last = console.read_text(errors="replace") if console.exists() else ""
    return Session(kernels.release(vmlinuz), status, output, last, seconds)


def main() -> int:
    """Parse the command line, boot, and exit as the command did (1 if it never ended)."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kernel", default="6.1", help="series, as 6.1 or newest")
    parser.add_argument("--systemd", action="store_true", help="with systemd as PID 1")
    parser.add_argument("--package", action="append", default=[], help="Debian's, also there")
    parser.add_argument("--limit", type=float, default=300, help="its seconds before it is stopped")
    parser.add_argument("command", nargs="+")
    asked = parser.parse_args()
    machine = Machine(asked.kernel, asked.systemd, tuple(asked.package))
    session = boot(machine, " ".join(asked.command), limit_s=asked.limit)
    if session.status is None:
        print("the machine stopped without reporting; its console ended:", file=sys.stderr)
        print("\n".join(session.console.splitlines()[-CONSOLE_LINES:]), file=sys.stderr)
        return 1
    print(f"{session.kernel}: exit {session.status} after {session.seconds:.0f} s", file=sys.stderr)
    return session.status


if __name__ == "__main__":
    raise SystemExit(main())
