"""A guarding daemon names what a server did to names and attributes, and bears its daily ones."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.models.ledger import Ledger
from tests.host.daemons import LEVELS, Daemon, Server, Verdict, grave, rank, wait_for

pytestmark = pytest.mark.timeout(120)

HIGH = LEVELS.index("high")


@pytest.fixture(scope="module")
def daemon() -> Iterator[Daemon]:
    daemon = Daemon()
    server = Server(daemon.at / "server")
    try:
        daemon.configure(server.rule("alert")).start()
        server.home.mkdir()
        (server.home / "model.onnx").write_bytes(bytes(64))
        server.start()
        wait_for(lambda: daemon.workload(server.name))
        server.do(DAILY)
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        SERVERS.append(server)
        yield daemon
    finally:
        SERVERS.clear()
        server.stop()
        daemon.close()


SERVERS: list[Server] = []
DAILY = """
(home / "logs").mkdir(exist_ok=True)
log = home / "logs" / "access.log"
log.write_text("begun")
(home / "model.onnx").read_bytes()
answer = True
"""


@pytest.fixture
def server(daemon: Daemon) -> Server:
    return SERVERS[0]


def novel(verdict: Verdict, item: Path) -> dict[str, object]:
    found: dict[str, object] = next(n for n in verdict["novel"] if n["item"] == str(item))
    return found


def test_a_model_renamed_by_its_server_is_named(daemon: Daemon, server: Server) -> None:
    since_ns, old, new = time.monotonic_ns(), server.home / "model.onnx", server.home / "gone.onnx"
    server.do(f"os.rename({str(old)!r}, {str(new)!r})")
    verdict = daemon.told(server.name, str(old), since_ns)
    assert novel(verdict, old)["deed"] == f"renamed {old} to {new}"
    assert f"renamed {old} to {new}" in daemon.command("explain", verdict["id"]).stdout
    assert rank(verdict) >= HIGH
    wait_for(lambda: {"rename-from", "read"} <= accesses(daemon, old))
    assert "rename-to" in accesses(daemon, new)


def accesses(daemon: Daemon, path: Path) -> set[str]:
    with Ledger.open_for_reading(daemon.state / "ledger.db") as ledger:
        return {use.access for use in ledger.history(str(path)) if use.path == str(path)}


def test_a_file_made_executable_is_named(daemon: Daemon, server: Server) -> None:
    since_ns, path = time.monotonic_ns(), server.home / "tool"
    server.do(f"open({str(path)!r}, 'w').close(); os.chmod({str(path)!r}, 0o755)")
    verdict = daemon.told(server.name, str(path), since_ns)
    assert any(n.get("deed") == f"made {path} executable (mode 0755)" for n in verdict["novel"])
    assert rank(verdict) >= HIGH


def test_a_model_that_its_server_writes_over_is_grave_even_in_a_temporary_place(
    daemon: Daemon, server: Server
) -> None:
    since_ns, there = time.monotonic_ns(), server.home / "second.pkl"
    there.write_bytes(bytes(64))
    server.do(f"open({str(there)!r}, 'ab').close()")
    verdict = daemon.told(server.name, str(there), since_ns)
    assert rank(verdict) >= HIGH


def test_a_model_file_that_its_server_makes_and_goes_on_with_stays_low(
    daemon: Daemon, server: Server
) -> None:
    since_ns = time.time_ns()
    server.do(
        """
import tempfile
with tempfile.TemporaryDirectory() as folder:
    for mode in ("wb", "ab", "r+b"):
        open(folder + "/array.npy", mode).close()
answer = True
"""
    )
    time.sleep(2.0)
    assert grave(daemon.verdicts(server.name, since_ns)) == []


def test_a_file_moved_to_where_it_would_last_is_named(daemon: Daemon, server: Server) -> None:
    since_ns, home = time.monotonic_ns(), server.home / "decoy"
    path = home / ".ssh" / "authorized_keys"
    server.do(
        f"os.makedirs({str(path.parent)!r}); open({str(home / 'x')!r}, 'w').close();"
        f"os.rename({str(home / 'x')!r}, {str(path)!r})"
    )
    verdict = daemon.told(server.name, str(path), since_ns)
    assert novel(verdict, path)["deed"] == f"renamed {home / 'x'} to {path}"
    assert verdict["level"] == "critical"


def test_a_name_given_through_a_link_is_told_by_where_it_leads(
    daemon: Daemon, server: Server
) -> None:
    since_ns, real = time.monotonic_ns(), server.home / "real" / ".ssh"
    link = server.home / "harmless"
    server.do(
        f"os.makedirs({str(real)!r}); os.symlink({str(real)!r}, {str(link)!r});"
        f"os.close(os.open({str(server.home / 'y')!r}, os.O_CREAT));"
        f"os.rename({str(server.home / 'y')!r}, {str(link / 'authorized_keys')!r})"
    )
    verdict = daemon.told(server.name, str(real / "authorized_keys"), since_ns)
    assert verdict["level"] == "critical"


def test_what_servers_do_every_day_brings_nothing_above_low(daemon: Daemon, server: Server) -> None:
    since_ns = time.time_ns()
    server.do(
        """
import socket, tempfile
logs = home / "logs"
os.rename(logs / "access.log", logs / "access.log.1")
(logs / "access.log").write_text("begun")
with tempfile.NamedTemporaryFile(delete=False) as file:
    pass
os.unlink(file.name)
with tempfile.TemporaryDirectory() as folder:
    open(folder + "/x", "w").close()
    os.utime(folder + "/x", (1, 1))
    os.chmod(folder + "/x", 0o644)
    os.rename(folder + "/x", folder + "/y")
    door = folder + "/api.sock"
    listener = socket.socket(socket.AF_UNIX); listener.bind(door); os.unlink(door)
answer = True
"""
    )
    time.sleep(2.0)
    assert grave(daemon.verdicts(server.name, since_ns)) == []
