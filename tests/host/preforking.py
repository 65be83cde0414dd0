"""A server that forks its workers, and forks them anew at SIGHUP, as web servers for Python do.

Modules are imported in the workers: each new one reads and maps what the first ones did.
"""

import os
import signal
import socket
import sys
from pathlib import Path
from types import FrameType

HOME, PORT = Path(sys.argv[1]), int(sys.argv[2])
WORKERS = 2


def work(listener: socket.socket) -> None:
    """Import, then answer one caller after another."""
    import decimal  # noqa: PLC0415 - in the worker, see above
    import json  # noqa: PLC0415
    import sqlite3  # noqa: PLC0415
    import tempfile  # noqa: PLC0415
    from http.server import BaseHTTPRequestHandler, HTTPServer  # noqa: PLC0415

    class Honest(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            total = decimal.Decimal(sum((HOME / "weights").read_bytes()))
            self.answer({"sum": int(total)})

        def do_POST(self) -> None:
            names = {"home": HOME, "os": os, "socket": socket, "sqlite3": sqlite3}
            exec(self.rfile.read(int(self.headers["Content-Length"])), names)  # noqa: S102
            self.answer({"answer": names.get("answer")})

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - its own name
            """Say nothing."""

        def answer(self, plain: object) -> None:
            body = json.dumps(plain).encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    server = HTTPServer(listener.getsockname(), Honest, bind_and_activate=False)
    with tempfile.TemporaryFile(prefix="worker-") as beat:
        while True:
            caller, address = listener.accept()
            os.utime(beat.fileno())
            with caller:
                Honest(caller, address, server)


def main() -> None:
    """Keep the workers; end with SIGTERM."""
    listener = socket.create_server(("127.0.0.1", PORT))
    workers: set[int] = set()

    def forth(_number: int, _frame: FrameType | None) -> None:
        for pid in workers:
            os.kill(pid, signal.SIGTERM)

    signal.signal(signal.SIGHUP, forth)
    while True:
        while len(workers) < WORKERS:
            pid = os.fork()
            if not pid:
                signal.signal(signal.SIGHUP, signal.SIG_DFL)
                work(listener)
            workers.add(pid)
        workers.discard(os.wait()[0])


main()
