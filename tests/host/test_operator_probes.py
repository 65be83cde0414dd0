"""Operator probes in a running daemon: two that ship, exact, and every way in which others fail."""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgpack
import pytest

from agent.recording.replay import Replay
from tests.host.daemons import LIMIT_S, ROOT, Daemon, Server, rank, wait_for

pytestmark = pytest.mark.timeout(240)

SHIPPED = ROOT / "packaging" / "probes.d"
PROBES = ("openssl", "native-modules", "broken", "nowhere", "flood", "misdeclared")
COMPILED_S = 120.0

HELLO = """\
struct event {{ u32 pid; char word[8]; }};
BPF_PERF_OUTPUT(events);
int hello(struct pt_regs *ctx)
{{
	struct event event = {{.pid = bpf_get_current_pid_tgid() >> 32, .word = "hello"}};
	{body}
	events.perf_submit(ctx, &event, sizeof(event));
	return 0;
}}
"""
TOML = """\
description = "{name}"
rate = 200
[fields]
item = ["{item}"]
[[attach]]
kind = "uprobe"
function = "hello"
symbol = "{symbol}"
library = "libc.so.6"
"""

# Both ends of a TLS connection in one process: seven records of 1009 bytes, one call each.
TLS = """
import ssl, threading
pair = socket.socketpair()
accepting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
accepting.load_cert_chain(str(home / "cert.pem"), str(home / "key.pem"))
asking = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
asking.check_hostname, asking.verify_mode = False, ssl.CERT_NONE
def receive():
    with accepting.wrap_socket(pair[0], server_side=True) as end:
        for n in range(7):
            got = 0
            while got < 1009:
                got += len(end.recv(1009))
thread = threading.Thread(target=receive)
thread.start()
with asking.wrap_socket(pair[1]) as end:
    for n in range(7):
        end.send(b"x" * 1009)
    thread.join()
answer = 7
"""
IMPORTS = ("_lsprof", "_crypt", "_queue")
FLOOD = """
until = time.monotonic() + 6
while time.monotonic() < until:
    os.getppid()
"""


@dataclass(slots=True)
class Scene:
    """A guarded server under a daemon with probes good and bad."""

    daemon: Daemon
    server: Server
    directory: Path

    def probe(self, name: str) -> dict[str, Any]:
        found: dict[str, Any] = next(p for p in self.daemon.status()["probes"] if p["name"] == name)
        return found

    def when(
        self, name: str, holds: Callable[[dict[str, Any]], bool], timeout_s: float = LIMIT_S
    ) -> dict[str, Any]:
        wait_for(lambda: holds(self.probe(name)), timeout_s)
        return self.probe(name)

    def settled(self, *names: str) -> bool:
        return all(self.probe(name)["state"] not in {"compiling", "restarting"} for name in names)


def declare(directory: Path, name: str, source: str, toml: str) -> None:
    (directory / f"{name}.c").write_text(source)
    (directory / f"{name}.toml").write_text(toml)


@pytest.fixture(scope="module")
def scene() -> Iterator[Scene]:
    daemon = Daemon()
    server, directory = Server(daemon.at / "served"), daemon.at / "probes.d"
    directory.mkdir()
    for file in SHIPPED.iterdir():
        shutil.copyfile(file, directory / file.name)
    hello = HELLO.format(body="")
    declare(directory, "broken", HELLO.format(body="no_such_thing = 1;"),
            TOML.format(name="broken", item="word", symbol="getppid"))  # fmt: skip
    declare(directory, "nowhere", hello,
            TOML.format(name="nowhere", item="word", symbol="no_such_symbol"))  # fmt: skip
    declare(directory, "misdeclared", hello,
            TOML.format(name="misdeclared", item="wrod", symbol="getppid"))  # fmt: skip
    declare(directory, "flood", HELLO.format(body="if (!inferward_watched()) return 0;"),
            TOML.format(name="flood", item="word", symbol="getppid"))  # fmt: skip
    try:
        server.home.mkdir()
        certify(server.home)
        daemon.configure(server.rule("alert"))
        daemon.config.write_text(
            daemon.config.read_text().replace("[paths]", f'[paths]\nprobes = "{directory}"')
        )
        daemon.start()
        server.start()
        scene = Scene(daemon, server, directory)
        wait_for(lambda: scene.settled(*PROBES), COMPILED_S)
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        yield scene
    finally:
        server.stop()
        daemon.close()


def certify(home: Path) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1", "-subj", "/CN=x",
         "-keyout", home / "key.pem", "-out", home / "cert.pem"],
        check=True, capture_output=True,
    )  # fmt: skip


def test_a_probe_that_cannot_run_says_why_and_hurts_no_other(scene: Scene) -> None:
    reasons = {name: scene.probe(name)["reason"] for name in ("broken", "nowhere", "misdeclared")}
    assert "broken.c:6" in reasons["broken"] or "no_such_thing" in reasons["broken"]
    assert "no_such_symbol" in reasons["nowhere"]
    assert "wrod is no member" in reasons["misdeclared"]
    for name in ("openssl", "native-modules"):
        assert (scene.probe(name)["state"], scene.probe(name)["reason"]) == ("on", "")
    told = scene.daemon.command("status")
    assert told.returncode == 1
    assert "operator probe broken is off" in told.stdout


def test_bytes_through_openssl_are_counted_exactly_and_reach_a_verdict(scene: Scene) -> None:
    since_ns = time.monotonic_ns()
    assert scene.server.do(TLS) == 7
    told = [
        scene.daemon.told(scene.server.name, f"openssl: direction={which}", since_ns)
        for which in ("write", "read")
    ]
    novel = [n for verdict in told for n in verdict["novel"] if n["kind"] == "probe"]
    assert {n["level"] for n in novel} == {"low"}
    probe = scene.when("openssl", lambda p: p["events"] >= 14)
    assert (probe["events"], probe["lost"], probe["sums"]) == (14, 0, {"bytes": 2 * 7 * 1009})
    records = [r for verdict in told for r in verdict["records"] if r["kind"] == "probe"]
    assert records
    assert all(r["fields"]["bytes"] % 1009 == 0 for r in records)


def test_native_modules_are_seen_by_their_paths_and_a_replay_says_the_same(scene: Scene) -> None:
    daemon, recording = scene.daemon, scene.daemon.at / "recording"
    before, began_ns = scene.probe("native-modules")["events"], time.time_ns()
    daemon.ask("record_start", path=str(recording), for_s=60.0)
    files = scene.server.do(
        f"import importlib\nanswer = [importlib.import_module(m).__file__ for m in {IMPORTS}]"
    )
    for file in files:
        daemon.told(scene.server.name, f"native-modules: path={file}")
    time.sleep(1.0)
    daemon.ask("record_stop")
    assert scene.probe("native-modules")["events"] == before + len(IMPORTS)
    live = daemon.verdicts(scene.server.name, began_ns)
    again = [v for v in Replay(recording).verdicts() if v["workload"] == scene.server.name]
    assert [v["novel"] for v in again] == [v["novel"] for v in live]
    assert all(rank(v) <= 1 for v in live), [v["summary"] for v in live]


def test_a_flood_is_switched_off_with_its_reason(scene: Scene) -> None:
    assert scene.probe("flood")["state"] == "on"
    scene.server.do(FLOOD)
    probe = scene.when("flood", lambda p: p["state"] == "off")
    assert "more than 200 events a second" in probe["reason"]
    assert probe["events"] > 600
    assert scene.probe("openssl")["state"] == "on"


def test_a_worker_that_is_killed_comes_back_and_counts_on(scene: Scene) -> None:
    first = scene.probe("native-modules")
    os.kill(first["pid"], signal.SIGKILL)
    wait_for(lambda: scene.probe("native-modules")["state"] != "on")
    second = scene.when("native-modules", lambda p: p["state"] == "on", COMPILED_S)
    assert second["pid"] != first["pid"]
    scene.server.do("import _multibytecodec")
    wait_for(lambda: scene.probe("native-modules")["events"] > first["events"])
    assert "probes.operator_restarts" in scene.daemon.log()


def test_a_worker_that_hangs_is_ended_and_started_again(scene: Scene) -> None:
    first = scene.probe("openssl")["pid"]
    os.kill(first, signal.SIGSTOP)
    wait_for(lambda: scene.probe("openssl")["state"] != "on", 30.0)
    wait_for(lambda: scene.probe("openssl")["state"] == "on", COMPILED_S)
    assert not Path(f"/proc/{first}").exists()


def test_workers_are_small_nice_first_to_go_and_hold_few_capabilities(scene: Scene) -> None:
    pid = scene.probe("openssl")["pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    effective = int(status.split("CapEff:")[1].split()[0], 16)
    assert effective == 1 << 38 | 1 << 39 | 1 << 19 | 1 << 2
    private_kib = int(status.split("RssAnon:")[1].split()[0])
    assert private_kib < 80 * 1024
    assert os.getpriority(os.PRIO_PROCESS, pid) == 10
    assert Path(f"/proc/{pid}/oom_score_adj").read_text().strip() == "500"


def test_a_hangup_reads_the_directory_again(scene: Scene) -> None:
    kept = scene.probe("native-modules")["pid"]
    for name in ("broken", "nowhere", "misdeclared"):
        (scene.directory / f"{name}.c").unlink()
        (scene.directory / f"{name}.toml").unlink()
    (scene.directory / "flood.c").chmod(0o666)
    os.kill(scene.daemon.pid, signal.SIGHUP)
    wait_for(lambda: len(scene.daemon.status()["probes"]) == 3)
    assert "writable by others" in scene.probe("flood")["reason"]
    assert scene.probe("native-modules")["pid"] == kept


def test_workers_end_with_the_daemon_even_when_it_is_killed(scene: Scene) -> None:
    pids = [p["pid"] for p in scene.daemon.status()["probes"] if p["pid"]]
    assert len(pids) == 2
    scene.daemon.kill()
    wait_for(lambda: not any(Path(f"/proc/{pid}").exists() for pid in pids))


def test_without_bcc_the_package_to_install_is_named(tmp_path: Path) -> None:
    job = {"name": "x", "source": "", "cache": str(tmp_path), "pids": [], "output": "events",
           "rate": 1, "attach": [], "fields": {}}  # fmt: skip
    script = "import sys; sys.modules['bcc'] = None; from agent.operator.worker import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", script], input=msgpack.packb(job), capture_output=True, cwd=ROOT,
        timeout=60, check=True,
    )  # fmt: skip
    kind, reason = msgpack.unpackb(done.stdout)
    assert kind == "failed"
    assert "python3-bpfcc" in reason
