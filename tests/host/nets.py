"""Two network namespaces joined by a cable, with addresses of every class at the far end."""

import os
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

NEAR_V4: Final = "10.77.0.1"
PORT: Final = 7000
FAR: Final = {
    "10.77.0.2": "PRIVATE",
    "198.51.99.7": "PUBLIC",
    "100.65.1.1": "PRIVATE",
    "169.254.7.7": "LINK",
    "169.254.169.254": "METADATA",
    "169.254.170.2": "METADATA",
    "169.254.170.23": "METADATA",
    "100.100.100.200": "METADATA",
    "168.63.129.16": "METADATA",
    "fd00:77::2": "PRIVATE",
    "2a00:77::2": "PUBLIC",
    "fd00:ec2::254": "METADATA",
    "fd20:ce::254": "METADATA",
}
"""What the far end answers to, by class."""

ABSENT_V4: Final = "10.77.0.99"
"""Nobody's address on the same cable."""

NOWHERE_V4: Final = "203.0.113.9"
"""Where no route leads."""

_SERVE: Final = """
import os, socket, sys, threading
def drain(line):
    with line:
        while line.recv(65536): pass
tcp = socket.create_server(("::", int(sys.argv[1])), family=socket.AF_INET6, dualstack_ipv6=True)
udp = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
udp.bind(("::", int(sys.argv[1])))
print("ready", flush=True)
def take():
    while True: udp.recv(65536)
threading.Thread(target=take, daemon=True).start()
while True:
    line, _ = tcp.accept()
    threading.Thread(target=drain, args=(line,), daemon=True).start()
"""

_MAKE: Final = """
import ast, socket, sys
made = [socket.socket(*kind) for kind in ast.literal_eval(sys.argv[2])]
line = socket.socket(fileno=int(sys.argv[1]))
socket.send_fds(line, [b"x"], [one.fileno() for one in made])
"""


def missing() -> str:
    """Why this host cannot have them; empty if it can."""
    if not shutil.which("ip") or not shutil.which("nsenter"):
        return "ip or nsenter is not installed"
    name = f"inferward-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, check=False)
    _ip("netns", "del", name, check=False)
    return "" if made.returncode == 0 else "no network namespace can be made here"


@contextmanager
def cable() -> Iterator[tuple[str, str]]:
    """Names of the near and the far namespace; a server listens at the far end."""
    near, far = (f"inferward-{end}-{os.getpid()}" for end in ("near", "far"))
    server = None
    try:
        for name in (near, far):
            _ip("netns", "add", name)
        _ip("link", "add", "near", "netns", near, "type", "veth", "peer", "far", "netns", far)
        _ip("-n", near, "addr", "add", f"{NEAR_V4}/24", "dev", "near")
        _ip("-n", near, "addr", "add", "fd00:77::1/64", "dev", "near", "nodad")
        for address in FAR:
            wide = "24" if address.startswith("10.") else "128" if ":" in address else "32"
            wide = "64" if address.startswith("fd00:77") else wide
            still = ["nodad"] if ":" in address else []
            _ip("-n", far, "addr", "add", f"{address}/{wide}", "dev", "far", *still)
        for name, device in ((near, "near"), (far, "far")):
            _ip("-n", name, "link", "set", "lo", "up")
            _ip("-n", name, "link", "set", device, "up")
        _ip("-n", near, "route", "add", "default", "via", "10.77.0.2")
        _ip("-n", near, "route", "add", "unreachable", NOWHERE_V4)
        _ip("-n", near, "-6", "route", "add", "default", "via", "fd00:77::2")
        server = subprocess.Popen(
            [*inside(far), sys.executable, "-ISc", _SERVE, str(PORT)], stdout=subprocess.PIPE
        )
        assert server.stdout is not None
        assert server.stdout.readline() == b"ready\n"
        yield near, far
    finally:
        if server is not None:
            server.kill()
            server.communicate()
        for name in (near, far):
            with suppress(subprocess.CalledProcessError):
                _ip("netns", "del", name)


def sockets(name: str, kinds: list[tuple[int, int]]) -> list[socket.socket]:
    """Sockets of these families and types that belong to a namespace, for whoever gets them."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        words = [sys.executable, "-ISc", _MAKE, str(theirs.fileno()), repr(kinds)]
        subprocess.run([*inside(name), *words], check=True, pass_fds=(theirs.fileno(),))
        _, descriptors, _, _ = socket.recv_fds(ours, 1, len(kinds))
    return [socket.socket(fileno=descriptor) for descriptor in descriptors]


def inside(name: str) -> list[str]:
    """What to put before a command so that it runs in a namespace."""
    return ["nsenter", f"--net=/run/netns/{name}"]


def _ip(*words: str, check: bool = True) -> None:
    subprocess.run(["ip", *words], check=check, capture_output=True)
