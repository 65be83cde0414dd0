"""Words to the service manager, over a real datagram socket."""

import os
import socket
from pathlib import Path

import pytest

from agent.daemon.notify import notify


def listen(address: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(address)
    listener.settimeout(2.0)
    return listener


def test_every_line_arrives_in_one_datagram(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = str(tmp_path / "notify")
    monkeypatch.setenv("NOTIFY_SOCKET", path)
    with listen(path) as manager:
        assert notify("READY=1", "STATUS=watching") is True
        assert manager.recv(100) == b"READY=1\nSTATUS=watching"


def test_an_abstract_socket_is_reached_too(monkeypatch: pytest.MonkeyPatch) -> None:
    name = f"inferward-test-{os.getpid()}"
    monkeypatch.setenv("NOTIFY_SOCKET", f"@{name}")
    with listen(f"\0{name}") as manager:
        assert notify("WATCHDOG=1") is True
        assert manager.recv(100) == b"WATCHDOG=1"


def test_without_a_service_manager_nothing_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    assert notify("READY=1") is False


def test_a_manager_that_is_gone_is_an_error_and_not_silence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "nobody"))
    with pytest.raises(OSError, match="No such file"):
        notify("READY=1")
