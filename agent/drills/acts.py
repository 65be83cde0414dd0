"""What attackers do after taking over a server, made harmless: each act ends within seconds.

Runs inside the watched process. An act touches the drill's own directory, loopback and processes
it started itself; secrets are decoys, uploads are zeros, and every file it makes is removed.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import mmap
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from agent.drills import changes
from agent.drills.place import Place

Act = Callable[[Place], None]

SHORT_S: Final = 3.0
"""No act waits longer for anything."""

UPLOAD_BYTES: Final = 64 << 20
_METADATA: Final = ("169.254.169.254", 80)


def run(*line: str | Path) -> None:
    """Start a program without output and wait for its end."""
    subprocess.run([str(word) for word in line], check=False, capture_output=True, timeout=SHORT_S)


def read(path: Path) -> None:
    """Read a file, whatever it holds."""
    with suppress(OSError), path.open("rb") as file:
        file.read(4096)


def dropped(path: Path, *arguments: str, model: str = "/bin/true") -> None:
    """Drop a program, run it, remove it."""
    try:
        shutil.copy(model, path)
        run(path, *arguments)
    finally:
        path.unlink(missing_ok=True)


def write_and_remove(path: Path, text: str = "# inert\n") -> None:
    """Write a file that nothing reads, and remove it."""
    with path.open("x", encoding="utf-8") as file:
        file.write(text)
    path.unlink()


def beacon(place: Place) -> None:
    """Connect to a peer it never had, say one line."""
    with socket.create_connection(("127.0.0.1", place.sink), SHORT_S) as line:
        line.sendall(b"drill\n")


def socket_shell(place: Place) -> None:
    """Start a shell whose input and output are a connection; it ends at once."""
    with socket.create_connection(("127.0.0.1", place.sink), SHORT_S) as line:
        shell, end = ["/bin/dash", "-c", "echo drill"], line.fileno()
        subprocess.run(shell, stdin=end, stdout=end, stderr=end, check=False, timeout=SHORT_S)


def search(place: Place) -> None:
    """Read a file in each of many directories."""
    for path in sorted((place.directory / "data").rglob("notes.txt")):
        read(path)


def metadata(_place: Place) -> None:
    """Address the cloud's metadata service by a datagram socket: connecting it sends nothing."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line, suppress(OSError):
        line.connect(_METADATA)


def sweep(_place: Place) -> None:
    """Try closed ports of many loopback addresses."""
    for last in range(2, 14):
        with socket.socket() as line, suppress(OSError):
            line.settimeout(0.1)
            line.connect((f"127.0.0.{last}", 9))


def upload(place: Place) -> None:
    """Send zeros to a peer that only takes."""
    zeros = bytes(1 << 20)
    with socket.create_connection(("127.0.0.1", place.sink), SHORT_S) as line:
        for _ in range(UPLOAD_BYTES // len(zeros)):
            line.sendall(zeros)


def upload_learned(place: Place) -> None:
    """Send zeros to a peer it talks to every day."""
    zeros = bytes(1 << 20)
    with socket.create_connection(("127.0.0.1", place.hub), SHORT_S) as line:
        for _ in range(UPLOAD_BYTES // len(zeros)):
            line.sendall(zeros)


def spin(_place: Place) -> None:
    """Compute for eight seconds that nobody asked for: housekeeping is over before."""
    until = time.monotonic() + 8.0
    while time.monotonic() < until:
        pass


def masquerade(_place: Place) -> None:
    """Call this thread like one of the kernel's, for a moment."""
    comm = Path(f"/proc/self/task/{_thread()}/comm")
    before = comm.read_text("utf-8")
    comm.write_text("kworker/0:0", "utf-8")
    time.sleep(0.2)
    comm.write_text(before.strip(), "utf-8")


def _thread() -> int:
    import threading  # noqa: PLC0415 - acts that need no thread's number load as little as possible

    return threading.get_native_id()


def memory_program(_place: Place) -> None:
    """Run a program that has no file."""
    number = os.memfd_create("drill", 0)
    try:
        os.write(number, Path("/bin/true").read_bytes())
        subprocess.run([f"/proc/self/fd/{number}"], pass_fds=[number], check=False, timeout=SHORT_S)
    finally:
        os.close(number)


def shared_memory_program(_place: Place) -> None:
    """Run a hidden program from shared memory."""
    dropped(Path(f"/dev/shm/.drill-{os.getpid()}"))  # noqa: S108 - that place is the point


def load_code(place: Place) -> None:
    """Load machine code that was just written."""
    spec = importlib.util.find_spec("_testmultiphase") or importlib.util.find_spec("_queue")
    if spec is None or spec.origin is None:
        raise OSError("no extension module to copy")
    path = place.directory / "bin" / Path(spec.origin).name
    shutil.copy(spec.origin, path)
    loader = importlib.machinery.ExtensionFileLoader(spec.name, str(path))
    try:
        loader.create_module(importlib.machinery.ModuleSpec(spec.name, loader, origin=str(path)))
    finally:
        path.unlink()


def writable_code(_place: Place) -> None:
    """Map memory that is writable and executable at once."""
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC).close()


def tamper(place: Place) -> None:
    """Append a byte to the served copy of the model."""
    with place.model.open("ab") as file:
        file.write(b"\0")


def replace_model(place: Place) -> None:
    """Put another file in the model's place."""
    fresh = place.model.with_name("model.bin.part")
    fresh.write_bytes(bytes(1024))
    fresh.replace(place.model)


def listen(_place: Place) -> None:
    """Offer a port of its own for a moment."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        low = 20_000 + door.getsockname()[1] % 10_000
    with socket.socket() as door:
        door.bind(("127.0.0.1", low))
        door.listen()
        time.sleep(0.2)


def child_memory(_place: Place) -> None:
    """Open the memory of a child it started."""
    child = os.fork()
    if child == 0:
        time.sleep(SHORT_S)
        os._exit(0)
    try:
        read(Path(f"/proc/{child}/maps"))
        os.close(os.open(f"/proc/{child}/mem", os.O_RDONLY))
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)


def runtime_socket(place: Place) -> None:
    """Call a decoy of a container runtime's socket."""
    with socket.socket(socket.AF_UNIX) as line, suppress(OSError):
        line.connect(str(place.directory / "run" / "docker.sock"))


def crashes(_place: Place) -> None:
    """Let three helpers die of a bad access."""
    for _ in range(3):
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            os.kill(os.getpid(), signal.SIGSEGV)
            os._exit(0)
        os.waitpid(child, 0)


def crash_then_program(place: Place) -> None:
    """Crash, and run a new program a moment later, as after an exploit."""
    crashes(place)
    time.sleep(1.5)
    dropped(place.directory / "bin" / "after-crash")


ACTS: Final[dict[str, Act]] = changes.ATTACKS | {
    "shell": lambda _: run("/bin/sh", "-c", ":"),
    "interpreter": lambda _: run("/usr/bin/perl", "-e", "0"),
    "look-around": lambda _: run("/usr/bin/id"),
    "dropped-program": lambda place: dropped(place.directory / "bin" / "tool"),
    "system-program": lambda _: run("/usr/bin/nproc"),
    "beacon": beacon,
    "socket-shell": socket_shell,
    "ssh-key": lambda place: read(place.home / ".ssh" / "id_ed25519"),
    "cloud-credentials": lambda place: read(place.home / ".aws" / "credentials"),
    "environment-file": lambda place: read(place.home / ".env"),
    "hub-token": lambda place: read(place.home / ".cache" / "huggingface" / "token"),
    "parent-environment": lambda _: read(Path(f"/proc/{os.getppid()}/environ")),
    "search": search,
    "metadata-service": metadata,
    "port-sweep": sweep,
    "weights-by-another": lambda place: run("/bin/cat", place.model),
    "other-weights": lambda place: read(place.directory / "vault" / "weights.safetensors"),
    "archive": lambda place: run("/bin/tar", "cf", "/dev/null", place.model.parent),
    "upload": upload,
    "upload-learned-peer": upload_learned,
    "unasked-work": spin,
    "miner": lambda place: dropped(place.directory / "bin" / "xmrig", "0.3", model="/bin/sleep"),
    "masquerade": masquerade,
    "memory-program": memory_program,
    "shared-memory-program": shared_memory_program,
    "start-file": lambda place: write_and_remove(place.directory / "site-packages" / "drill.pth"),
    "preload": lambda place: write_and_remove(place.directory / "etc" / "ld.so.preload"),
    "authorized-keys": lambda place: write_and_remove(place.home / ".ssh" / "authorized_keys"),
    "shell-start-file": lambda place: write_and_remove(place.home / ".bashrc"),
    "unit-file": lambda place: write_and_remove(
        place.directory / "systemd" / "system" / "drill.service"
    ),
    "load-code": load_code,
    "writable-code": writable_code,
    "tamper": tamper,
    "replace-model": replace_model,
    "foreign-shared-memory": lambda place: read(
        Path("/dev/shm") / f"triton_python_backend_shm_region_{place.directory.name}"  # noqa: S108
    ),
    "listener": listen,
    "child-memory": child_memory,
    "runtime-socket": runtime_socket,
    "leave-namespace": lambda _: run("/usr/bin/unshare", "--user", "/bin/true"),
    "crashes": crashes,
    "crash-then-program": crash_then_program,
}
