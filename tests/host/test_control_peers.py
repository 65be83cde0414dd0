"""Who the control socket listens to: the kernel's own word for who asks, not the file's mode."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.control import ControlServer, request

pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to ask as another user"),
]

NOBODY = 65534
ASK = (
    "import socket, struct, sys\n"
    "s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1])\n"
    "s.sendall(struct.pack('>I', 11) + b'\\x81\\xa2op\\xa6status')\n"
    "s.settimeout(5)\n"
    "try:\n    print(len(s.recv(100)))\nexcept ConnectionResetError:\n    print(0)\n"
)


@pytest.fixture
def server() -> Iterator[ControlServer]:
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        with ControlServer(Path(directory), {"status": lambda _: {}}) as server:
            yield server


def ask_as(user: int, path: Path) -> subprocess.CompletedProcess[str]:
    command = ["/usr/bin/python3", "-c", ASK, str(path)]
    return subprocess.run(
        command, user=user, group=user, extra_groups=[], capture_output=True, text=True, check=False
    )


def test_another_user_cannot_even_connect(server: ControlServer) -> None:
    assert "PermissionError" in ask_as(NOBODY, server.path).stderr
    assert server.refused == 0


def test_a_user_who_got_past_the_mode_is_still_refused_and_counted(server: ControlServer) -> None:
    server.path.chmod(0o666)
    assert ask_as(NOBODY, server.path).stdout == "0\n"
    assert server.refused == 1
    assert server.requests == 0


def test_root_is_answered(server: ControlServer) -> None:
    assert int(ask_as(0, server.path).stdout) > 0
    assert request(server.path.parent, "status") == {}
