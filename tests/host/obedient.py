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
