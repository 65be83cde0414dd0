"""In the machine: every act in a tight loop, free, contained and released; a table of what came.

The program that acts was compiled before, statically: the machine has no compiler.
"""

import argparse
import socket
import subprocess
import tempfile
import threading
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from agent.doctor.programs import tier
from agent.response.containment import Step
from agent.response.pinned import PinnedSwitch
from agent.response.secret_files import secret_files
from probes.loader import Sensor, remove
from probes.sensitive import mark
from probes.trial import probe_capabilities

ACTS: Final = Path(__file__).with_name("build") / "acts"
PINS: Final = Path("/sys/fs/bpf/inferward-guard")
LSM: Final = Path("/sys/kernel/security/lsm")
SKIPPED: Final = 77
WORKLOAD: Final = 1


@dataclass(frozen=True, slots=True)
class Act:
    """One row: what is tried, and whether a contained workload may still do it.

    Attributes:
        cut: Contained with its clients cut, too.
    """

    name: str
    arguments: tuple[str, ...] = ()
    kept: bool = False
    note: str = ""
    cut: bool = False


class Stage:
    """What there is to act on: files, listeners that drain, a stranger."""

    def __init__(self, folder: Path, stack: ExitStack) -> None:
        """Set all of it up; `stack` takes it down."""
        self.folder = folder
        self.plain = self._file("plain")
        self.below = self._file("credentials/deep/token")
        stack.callback(_unmount, folder / "credentials")
        self.listed = self._file("listed")
        self.stranger = stack.enter_context(subprocess.Popen(["sleep", "600"]))
        stack.callback(self.stranger.kill)
        self.tcp = self._listen(socket.AF_INET, socket.SOCK_STREAM, ("127.0.0.1", 0), stack)
        self.udp = self._listen(socket.AF_INET, socket.SOCK_DGRAM, ("127.0.0.1", 0), stack)
        self.passer = self._passing(f"{folder}/passer", stack)
        self.stream = self._listen(socket.AF_UNIX, socket.SOCK_STREAM, f"{folder}/stream", stack)
        self.datagram = self._listen(socket.AF_UNIX, socket.SOCK_DGRAM, f"{folder}/dgram", stack)

    def _passing(self, path: str, stack: ExitStack) -> str:
        """Return where a connected socket of this process's is passed to whoever calls."""
        listener = stack.enter_context(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM))
        called = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        listener.bind(path)
        listener.listen(4)
        called.connect(("127.0.0.1", int(self.udp)))
        threading.Thread(target=_pass_on, args=(listener, called), daemon=True).start()
        return path

    def _file(self, name: str) -> str:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(4096))
        return str(path)

    def _listen(
        self, family: int, kind: int, address: tuple[str, int] | str, stack: ExitStack
    ) -> str:
        listener = stack.enter_context(socket.socket(family, kind))
        listener.bind(address)
        if kind == socket.SOCK_STREAM:
            listener.listen(64)
        threading.Thread(target=_drain, args=(listener, kind), daemon=True).start()
        name = listener.getsockname()
        return str(name[1]) if family == socket.AF_INET else str(name)

    def acts(self) -> tuple[Act, ...]:
        """Every row of the table."""
        pid = str(self.stranger.pid)
        fresh = str(self.folder / "new")
        return (
            Act("exec"),
            Act("mmap-file"),
            Act("mmap-anonymous"),
            Act("mprotect"),
            Act("open-write", (self.plain,)),
            Act("open-truncate", (self.plain,)),
            Act("open-create", (fresh,)),
            Act("rename", (self.plain, f"{self.plain}.moved")),
            Act("link", (self.plain,)),
            Act("symlink", (fresh,)),
            Act("mkdir", (fresh,)),
            Act("chmod", (self.plain,)),
            Act("open-read", (self.listed,), note="a sensitive file"),
            Act("open-read", (self.below,), note="below a sensitive directory"),
            Act("open-read", ("/etc/shadow",), note="passwords"),
            Act("ptrace", (pid,)),
            Act("vm-read", (pid, _mapped(self.stranger.pid))),
            Act("open-read", (f"/proc/{pid}/mem",), note="a stranger's memory"),
            Act("kill", (pid,)),
            Act("connect-inet", (self.tcp,)),
            Act("connect-unix", (self.stream,)),
            Act("bind-stream"),
            Act("bind-datagram"),
            Act("bind-unix", (fresh,)),
            Act("listen"),
            Act("send-inet", (self.udp,)),
            Act("send-unix", (self.datagram,)),
            Act("send-stream", (self.stream,), note="connected before"),
            Act("send-packet"),
            Act("bpf", (str(PINS / "contained"),)),
            Act("mount", (str(self.folder / "credentials"),)),
            *self._other_entries(pid),
            Act("open-read", (self.plain,), kept=True),
            Act("append", (self.plain,), kept=True, note="opened before"),
            Act("kill-own", kept=True),
            Act("socketpair", kept=True),
            Act("answer-unix", (f"{fresh}.kept",), kept=True, note="to a client"),
            Act("answer-unix", (f"{fresh}.cut",), cut=True, note="clients are cut"),
            Act("socketpair", kept=True, cut=True, note="clients are cut"),
        )

    def _other_entries(self, pid: str) -> tuple[Act, ...]:
        """The same acts by other calls."""
        return (
            Act("execveat"),
            Act("exec-memfd"),
            Act("openat2", (self.plain,), note="to write"),
            Act("open-foreign", (self.plain,), note="to write, 32-bit"),
            Act("truncate", (self.plain,)),
            Act("unlink", (self.plain,)),
            Act("tgkill", (pid,)),
            Act("sigqueue", (pid,)),
            Act("pidfd-signal", (pid,)),
            Act("pidfd-getfd", (pid,)),
            Act("vm-write", (pid, _stack_end(self.stranger.pid))),
            Act("sendmsg", (self.udp,)),
            Act("sendmmsg", (self.udp,)),
            Act("send-raw"),
            Act("write-connected", (self.udp,)),
            Act("sendfile-connected", (self.udp,)),
            Act("splice-connected", (self.udp,)),
            Act("receive-socket", (self.passer,), note="by SCM_RIGHTS"),
            Act("ring-open", (self.plain,), note="to write"),
            Act("ring-connect", (self.tcp,)),
            Act("ring-send-connected", (self.udp,)),
        )


def _unmount(place: Path) -> None:
    """Whoever mounts may be ended before it takes that away again."""
    while place.is_mount():
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def _drain(listener: socket.socket, kind: int) -> None:
    with suppress(OSError):  # closed, when all is done
        while kind == socket.SOCK_DGRAM:
            listener.recv(16)
        while True:
            client, _ = listener.accept()
            threading.Thread(target=_read_out, args=(client,), daemon=True).start()


def _pass_on(listener: socket.socket, passed: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return  # closed, when all is done
        with client, suppress(OSError):  # the caller has gone
            while True:
                socket.send_fds(client, [b"x"], [passed.fileno()])


def _read_out(client: socket.socket) -> None:
    with client:
        try:
            while client.recv(65536):
                pass
        except ConnectionResetError:
            return


def _mapped(pid: int) -> str:
    return Path(f"/proc/{pid}/maps").read_text().partition("-")[0]


def _stack_end(pid: int) -> str:
    """Its last eight bytes, in hexadecimal: they are zero, and nobody reads them."""
    (line,) = (
        line for line in Path(f"/proc/{pid}/maps").read_text().splitlines() if "[stack]" in line
    )
    return f"{int(line.split()[0].partition('-')[2], 16) - 8:x}"


def try_act(act: Act, sensor: Sensor, switch: PinnedSwitch, tight_s: float) -> tuple[str, bool]:
    """Run one act through its three phases; the row to print, and whether it is as it must be."""
    with subprocess.Popen(
        [ACTS, act.name, str(tight_s), *act.arguments],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1,
    ) as process:  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        member = np.zeros(1, sensor.schema.dtype("member"))
        member["workload"] = WORKLOAD
        sensor.maps["members"].set(np.uint32(process.pid).tobytes(), member.tobytes())
        sensor.adopt()
        results = []
        for contained in (False, True, False):
            if contained:
                switch.set(WORKLOAD, Step.CONTAIN, 0, cut_clients=act.cut)
            else:
                switch.clear(WORKLOAD)
            process.stdin.write("go\n")
            tried, _, succeeded = process.stdout.readline().partition(" ")
            results.append((int(tried or 0), int(succeeded or 0)))
        switch.clear(WORKLOAD)
    (_, free), (tries, through), (_, released) = results
    good = free > 0 and released > 0 and tries > 0
    good = good and (through == tries if act.kept else through == 0)
    name = f"{act.name} ({act.note})" if act.note else act.name
    word = "kept" if act.kept else "denied"
    end = "" if good else f"  WRONG, must be {word}: {results}"
    return f"{name:<44} {tries:>8} tried {through:>8} succeeded{end}", good


def try_all(sensor: Sensor, tight_s: float) -> list[bool]:
    """Print a row an act; which were as they must be."""
    switch = PinnedSwitch.open(PINS, sensor.schema)
    assert switch is not None
    right = []
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        stage = Stage(folder, stack)
        places = [*secret_files([]), stage.listed, str(folder / "credentials")]
        mark(sensor.maps["sensitive"], sensor.schema, places)
        for act in stage.acts():
            row, good = try_act(act, sensor, switch, tight_s)
            print(row, flush=True)
            right.append(good)
    return right


def main() -> int:
    """Print the table; 0 if all is as it must be, 77 and the doctor's words in tier `trace`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=0.3, help="of each act's three phases")
    asked = parser.parse_args()
    sensor = Sensor.open(PINS)
    try:
        if sensor.tier != "guard":
            lsm = LSM.read_text("ascii") if LSM.exists() else None
            print(tier(probe_capabilities(), lsm).words)
            return SKIPPED
        right = try_all(sensor, asked.seconds)
        print(f"{sum(right)} of {len(right)} acts denied or kept as they must be")
    finally:
        sensor.close()
        remove(PINS)
    return 0 if all(right) else 1


if __name__ == "__main__":
    raise SystemExit(main())
