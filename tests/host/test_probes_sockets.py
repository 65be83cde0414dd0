"""Listeners of every kind, local sockets by name and caller, and sockets of other families."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from tests.host.eyes import Eyes, Seen

LISTEN = """
import socket
gate()
s = socket.socket(int(sys.argv[1]))
if len(sys.argv) > 2: s.bind((sys.argv[2], 0))
s.listen()
print(s.getsockname()[1], flush=True)
"""
TWINS = """
import socket
gate()
held = []
for _ in range(4):
    s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    s.bind(("127.0.0.1", 17913)); s.listen(); held.append(s)
"""
LOCAL = """
import socket
gate()
name = sys.argv[2].replace("@", chr(0))
for _ in range(3):
    s = socket.socket(socket.AF_UNIX, int(sys.argv[1]))
    s.bind(name)
    if int(sys.argv[1]) == socket.SOCK_STREAM: s.listen()
    if not name.startswith(chr(0)): __import__("os").unlink(name)
    s.close()
"""
ACCEPT = """
import socket
s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen()
gate()
print("go", flush=True)
for _ in range(int(sys.argv[2])):
    line, _ = s.accept(); line.recv(1); line.close()
"""
CALL = """
import os, socket, sys
if len(sys.argv) > 2: os.setuid(int(sys.argv[2]))
s = socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); s.send(b"x"); s.recv(1)
"""
SENDTO = """
import socket
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
name = sys.argv[1].replace("@", chr(0))
gate()
for _ in range(5):
    if sys.argv[2] == "sendto": s.sendto(b"x", name)
    else: s.sendmsg([b"x"], [], 0, name)
"""
MAKE = """
import socket
family, kind, protocol = map(int, sys.argv[1:])
gate()
for _ in range(3):
    try: socket.socket(family, kind, protocol).close()
    except OSError as error: print(error.errno)
"""
STREAM, DGRAM, RAW = int(socket.SOCK_STREAM), int(socket.SOCK_DGRAM), int(socket.SOCK_RAW)


def run(eyes: Eyes, script: str, *words: str | int) -> Seen:
    with eyes.python(script, *words) as gated:
        gated.tell()
        output = gated.end()
    seen = eyes.seen(gated.number)
    seen.output = output
    return seen


@pytest.mark.parametrize(
    ("family", "host", "told", "marks"),
    [
        (2, "127.0.0.1", "tcp 127.0.0.1", set()),
        (2, "0.0.0.0", "tcp 0.0.0.0", {"wildcard"}),  # noqa: S104 - what is tested
        (10, "::1", "tcp [::1]", set()),
        (10, "::", "tcp [::]", {"wildcard"}),
    ],
)
def test_a_listener_says_whether_every_network_reaches_it(
    eyes: Eyes, family: int, host: str, told: str, marks: set[str]
) -> None:
    seen = run(eyes, LISTEN, family, host)
    (listener,) = [s for s in seen.sightings if s.kind == "listen"]
    assert listener.item == f"{told}:{seen.output.strip()}"
    assert set(listener.marks) == marks


def test_listening_without_a_bind_is_told_with_the_port_the_kernel_chose(eyes: Eyes) -> None:
    seen = run(eyes, LISTEN, 2)
    assert seen.items("listen") == [f"tcp 0.0.0.0:{seen.output.strip()}"]
    assert seen.marks("listen", seen.output.strip()) == {"wildcard"}


def test_4_listeners_that_share_a_port_are_told_once(eyes: Eyes) -> None:
    assert run(eyes, TWINS).items("listen") == ["tcp 127.0.0.1:17913"]


@pytest.mark.parametrize("kind", [STREAM, DGRAM], ids=["stream", "datagram"])
def test_a_local_listener_is_told_by_its_path(eyes: Eyes, tmp_path: Path, kind: int) -> None:
    path = str(tmp_path / "offered")
    told = run(eyes, LOCAL, kind, path).items("listen")
    assert set(told) == {f"unix {path}"}


def test_a_local_listener_without_a_path_is_told_by_its_name(eyes: Eyes) -> None:
    assert set(run(eyes, LOCAL, STREAM, "@inferward-offered").items("listen")) == {
        "unix @inferward-offered"
    }


def test_a_local_stream_that_is_only_bound_is_no_listener(eyes: Eyes, tmp_path: Path) -> None:
    script = "import socket\ngate()\nsocket.socket(socket.AF_UNIX).bind(sys.argv[1])"
    assert run(eyes, script, str(tmp_path / "bound")).items("listen") == []


def test_6_calls_of_one_program_are_one_caller_with_its_user(eyes: Eyes, tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with eyes.python(ACCEPT, path, 6) as gated:
        Path(path).chmod(0o777)  # another user is to call
        for above in (tmp_path, *tmp_path.parents[:2]):
            above.chmod(0o755)
        gated.tell()
        assert gated.hear() == "go"
        for _ in range(5):
            subprocess.run([sys.executable, "-ISc", CALL, path], check=True)
        subprocess.run([sys.executable, "-ISc", CALL, path, "65534"], check=True)
        gated.end()
    seen = eyes.seen(gated.number)
    program = str(Path(sys.executable).resolve())
    assert seen.items("peer") == [
        f"accept unix by {program} uid 0",
        f"accept unix by {program} uid 65534",
    ]
    assert seen.marks("peer", "uid 65534") == {"other-user"}
    assert seen.totals["COUNT_ACCEPTS"] == 6


@pytest.mark.parametrize("call", ["sendto", "sendmsg"])
@pytest.mark.parametrize("name", ["path", "@inferward-datagrams"])
def test_5_datagrams_to_a_local_name_are_told_once_as_given(
    eyes: Eyes, tmp_path: Path, call: str, name: str
) -> None:
    where = str(tmp_path / "taking") if name == "path" else name
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as taking:
        taking.bind(where.replace("@", "\0"))
        seen = run(eyes, SENDTO, where, call)
    assert seen.items("peer") == [f"unix {where}"]
    assert seen.marks("peer", where) == {"given"}


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "told"),
    [
        (16, RAW, 0, "socket netlink route"),
        (16, RAW, 12, "socket netlink netfilter"),
        (17, RAW, 0, "socket packet raw"),
        (2, RAW, 1, "socket inet raw icmp"),
        (40, STREAM, 0, "socket vsock stream"),
        (38, 5, 0, "socket alg seqpacket"),
        (44, RAW, 0, "socket xdp raw"),
        (31, RAW, 1, "socket bluetooth raw"),
        (2, STREAM, 262, "socket inet stream mptcp"),
    ],
)
def test_a_socket_of_another_kind_is_told_once_whether_the_kernel_gives_it_or_not(
    eyes: Eyes, family: int, kind: int, protocol: int, told: str
) -> None:
    seen = run(eyes, MAKE, family, kind, protocol)
    assert [item for item in seen.items("syscall") if item.startswith("socket")] == [told]


@pytest.mark.parametrize(("family", "kind"), [(1, 1), (1, 2), (2, 1), (2, 2), (10, 1), (10, 2)])
def test_ordinary_sockets_are_not_worth_telling(eyes: Eyes, family: int, kind: int) -> None:
    assert run(eyes, MAKE, family, kind, 0).items("syscall") == []


MULTIPATH = """
import socket
gate()
s = socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262)
s.connect(("127.0.0.1", int(sys.argv[1])))
s.sendall(bytes(20000)); s.close()
"""


def test_a_multipath_connection_is_a_peer_and_its_bytes_are_its_own(eyes: Eyes) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, 262).close()
    except OSError as error:
        pytest.skip(f"no MPTCP here: {error}")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        seen = run(eyes, MULTIPATH, port)
    assert seen.items("peer") == [f"tcp 127.0.0.1:{port}"]
    assert seen.traffic["LOOPBACK", "INITIATED_OUT"] > 20000


DATAGRAM_LITE = """
import socket
gate()
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136)
s.connect(("127.0.0.1", 9)); s.send(bytes(100))
"""


def test_udp_lite_is_a_peer_like_any_other(eyes: Eyes) -> None:
    try:
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM, 136).close()
    except OSError as error:
        pytest.skip(f"no UDP-Lite here: {error}")
    seen = run(eyes, DATAGRAM_LITE)
    assert seen.items("peer") == ["udplite 127.0.0.1:9"]
    assert seen.traffic == {("LOOPBACK", "INITIATED_OUT"): 128}
