"""Does one of everything in a process of our own, and names the eye that did not see it."""

import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

from agent.daemon.loop import Loop
from agent.daemon.registry import Registry
from collectors.sightings import Sighting

NAME: Final = "self-test"
WAIT_S: Final = 3.0

_PROGRAM: Final = """
import ctypes, mmap, os, socket, sys
sys.stdin.readline()
where = sys.argv[1]
open(where + "/written", "w").close()
open(where + "/read").close()
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
client = socket.create_connection(listener.getsockname()); listener.accept()
socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))
served = socket.socket(socket.AF_UNIX); served.bind(where + "/socket"); served.listen()
socket.socket(socket.AF_UNIX).connect(where + "/socket")
mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)
os.memfd_create("self-test")
child = os.fork()
if child == 0:
    os.execv("/bin/true", ["true"])
os.waitpid(child, 0)
"""


def _wanted(where: str) -> dict[str, Callable[[Sighting], bool]]:
    """By eye, what tells that it saw."""
    return {
        "exec": lambda s: s.kind == "exec" and s.item.endswith("/true"),
        "file read": lambda s: s.kind == "file" and s.item == f"{where}/read",
        "file write": lambda s: s.kind == "write" and s.item == f"{where}/written",
        "listen": lambda s: s.kind == "listen" and s.item.startswith("tcp 127.0.0.1:"),
        "connect": lambda s: s.kind == "peer" and s.item.startswith("tcp 127.0.0.1:"),
        "accept": lambda s: s.kind == "peer" and s.item == "accept tcp 127.0.0.1",
        "datagram": lambda s: s.kind == "peer" and s.item == "udp 127.0.0.1:9",
        "unix socket": lambda s: s.kind == "peer" and s.item == f"unix {where}/socket",
        "executable memory": lambda s: s.kind == "library" and "anonymous" in s.marks,
        "sensitive call": lambda s: s.kind == "syscall" and s.item == "319",
        "exit": lambda s: s.kind == "exit",
    }


class SelfTest:
    """One at a time; runs in the thread that asks, with the loop's help."""

    def __init__(self, loop: Loop, registry: Registry) -> None:
        """Be idle."""
        self._one = threading.Lock()
        self._loop = loop
        self._registry = registry
        self.number = 0
        self.seen: list[Sighting] = []

    def run(self) -> list[dict[str, Any]]:
        """Findings for `agent doctor --live`: name, state, words, fix; a second asker waits."""
        with self._one, TemporaryDirectory(prefix="inferward-self-test-") as where:
            (Path(where) / "read").touch()
            found = self._do(where)
        fix = "see `agent doctor` for what this kernel refuses, and the agent's log"
        return [
            {
                "name": f"live: {eye}",
                "state": "ok" if saw else "missing",
                "words": "seen" if saw else "done by the self-test, and not seen",
                "fix": "" if saw else fix,
            }
            for eye, saw in found.items()
        ]

    def _do(self, where: str) -> dict[str, bool]:
        command = [sys.executable, "-I", "-S", "-c", _PROGRAM, where]
        with subprocess.Popen(command, stdin=subprocess.PIPE) as child:
            number = self._loop.ask(lambda: self._begin(child.pid))
            try:
                child.communicate(b"\n", timeout=WAIT_S)
                return self._look(_wanted(where))
            finally:
                child.kill()
                self._loop.ask(lambda: self._end(number))

    def _look(self, wanted: dict[str, Callable[[Sighting], bool]]) -> dict[str, bool]:
        end_s = time.monotonic() + WAIT_S
        found = dict.fromkeys(wanted, False)
        while not all(found.values()) and time.monotonic() < end_s:
            time.sleep(0.05)
            seen = self._loop.ask(lambda: list(self.seen))
            found = {eye: any(tells(s) for s in seen) for eye, tells in wanted.items()}
        return found

    def _begin(self, pid: int) -> int:
        self.seen = []
        self.number = self._registry.borrow(NAME, pid)
        return self.number

    def _end(self, number: int) -> None:
        self._registry.give_back(NAME, number)
        self.number, self.seen = 0, []
