"""A server that answers honest callers and does what it is told: GET works, POST runs its body.

Small on purpose: what it loads and learns is seconds of work, so a test can play
the intruder against a baseline that was learned a moment ago.
"""

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

HOME = Path(sys.argv[1])
KNOWN = (ctypes, os, signal, socket, subprocess, time)


class Obedient(BaseHTTPRequestHandler):
    """One caller."""

    def do_GET(self) -> None:
        self._answer({"sum": sum((HOME / "weights").read_bytes())})

    def do_POST(self) -> None:
        names: dict[str, Any] = {module.__name__: module for module in KNOWN} | {"home": HOME}
        try:
            exec(self.rfile.read(int(self.headers["Content-Length"])), names)  # noqa: S102
        except OSError as error:
            names["answer"] = {"errno": error.errno}
        self._answer({"answer": names.get("answer")})

    def do_DELETE(self) -> None:
        self.send_error(404)

    raw_requestline: bytes

    def parse_request(self) -> bool:
        """HTTP/2 begins with a line that no method of HTTP/1 has."""
        if not self.raw_requestline.startswith(b"PRI "):
            return super().parse_request()
        self.rfile.read(len(b"\r\nSM\r\n\r\n"))
        self.connection.sendall(bytes.fromhex("000000040000000000"))
        while len(head := self.rfile.read(9)) == 9:
            self.rfile.read(int.from_bytes(head[:3]))
            if head[3] in {0, 1} and head[4] & 1:  # the last of a stream: all is well, gRPC says
                body, said = head[5:] + b"\x88", head[5:] + b"\x00\x0bgrpc-status\x010"
                answer = b"\0\0\x01\x01\x04" + body + b"\0\0\x0f\x01\x05" + said
                self.connection.sendall(answer)
        return False

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
        """Say nothing."""

    def _answer(self, plain: object) -> None:
        body = json.dumps(plain).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


class Server(ThreadingHTTPServer):
    """Callers of a frozen server wait, and are not turned away."""

    request_queue_size = 128
    daemon_threads = True


Server(("127.0.0.1", int(sys.argv[2])), Obedient).serve_forever()
