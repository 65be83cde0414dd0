"""A door into a server of one's own: who knows the token can make its process act.

    from agent.drills.door import open_door
    open_door(directory, hub, token)

For a test server only: it opens one loopback port, in a thread of the process that is drilled.
"""

from __future__ import annotations

import hmac
import json
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from agent.drills import acts, lookalikes
from agent.drills.place import Place


class Door(BaseHTTPRequestHandler):
    """`POST /act` does what its header X-Act names, if the token is right.

    The name is in no path: what a drill orders is no kind of request of a model server.
    """

    place: Place
    token: str

    def do_POST(self) -> None:
        """Act and tell what failed."""
        token = self.headers.get("Authorization", "")
        act = (acts.ACTS | lookalikes.ACTS).get(self.headers.get("X-Act", ""))
        if act is None or not hmac.compare_digest(token, self.token):
            self.answer(HTTPStatus.FORBIDDEN, {"failed": "no such act, or not allowed"})
            return
        sink = self.headers.get("X-Sink", "0")
        try:
            act(Place(self.place.directory, int(sink), self.place.hub))
        except Exception as error:  # noqa: BLE001 - told to the one who asked
            self.answer(HTTPStatus.OK, {"failed": f"{type(error).__name__}: {error}"})
        else:
            self.answer(HTTPStatus.OK, {"failed": ""})

    def answer(self, status: HTTPStatus, document: object) -> None:
        """Send a JSON document."""
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def open_door(directory: Path, hub: int, token: str, port: int = 0) -> int:
    """Serve acts from a thread of this process from now on; returns the loopback port."""
    found = type("DoorOf", (Door,), {"place": Place(directory, 0, hub), "token": token})
    server = ThreadingHTTPServer(("127.0.0.1", port), found)
    threading.Thread(target=server.serve_forever, name="door", daemon=True).start()
    return server.server_address[1]
