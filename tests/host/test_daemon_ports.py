"""A server that is configured by its port is that workload's before and after it listens."""

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from subprocess import PIPE, Popen

import pytest

from tests.host.daemons import Daemon, wait_for
from tests.servers.serve import free_port

LATE = """
import socket, sys
sys.stdin.readline()
door = socket.socket()
door.bind(("127.0.0.1", int(sys.argv[2])))
door.listen()
sys.stdin.readline()
"""


@dataclass
class Scene:
    """A daemon with one rule, and a program that an engine's file knows by its name."""

    daemon: Daemon
    port: int
    servers: list["Popen[str]"] = field(default_factory=list)

    def start(self) -> "Popen[str]":
        """Start one that does not listen yet."""
        line = [sys.executable, str(self.daemon.at / "mlserver"), "start", str(self.port)]
        server = Popen(line, stdin=PIPE, stdout=subprocess.DEVNULL, text=True, bufsize=1)
        self.servers.append(server)
        return server

    def owner(self, pid: int) -> str:
        """Whose it is; empty before anybody's."""
        owners = (one["name"] for one in self.daemon.status()["workloads"] if pid in one["pids"])
        return next(owners, "")


@pytest.fixture
def scene() -> Iterator[Scene]:
    daemon, port = Daemon(), free_port()
    scene = Scene(daemon, port)
    try:
        rule = f'[[workload]]\nname = "late"\nmatch = {{ port = {port} }}\n'
        daemon.configure(rule).start()
        (daemon.at / "mlserver").write_text(LATE)
        yield scene
    finally:
        for server in scene.servers:
            server.kill()
            server.communicate()
        daemon.close()


def test_a_server_is_moved_when_it_listens_and_is_known_when_it_starts_again(scene: Scene) -> None:
    first = scene.start()
    wait_for(lambda: scene.owner(first.pid).startswith("mlserver"))
    assert first.stdin is not None
    first.stdin.write("listen\n")
    wait_for(lambda: scene.owner(first.pid) == "late")
    first.kill()
    first.wait()
    again = scene.start()
    wait_for(lambda: scene.owner(again.pid))
    assert scene.owner(again.pid) == "late"
