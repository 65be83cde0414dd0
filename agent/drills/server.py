"""The drills' own test server: answers on loopback, and acts when told to.

    python -m agent.drills.server DIRECTORY HUB

Prints its port. Only who knows the token, read from standard input, can make it act.
"""

from __future__ import annotations

import hmac
import json
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

from agent.drills import acts, lookalikes
from agent.drills.place import Place

_CHUNK_BYTES: Final = 64 << 10


class Handler(BaseHTTPRequestHandler):
    """`GET /predict` works as a model server does; `POST /act/NAME` acts."""

    place: Place
    token: str

    def do_GET(self) -> None:
        """Read a piece of the model and answer."""
        with self.place.model.open("rb") as file:
            total = sum(file.read(_CHUNK_BYTES))
        self._answer(HTTPStatus.OK, {"sum": total})

    def do_POST(self) -> None:
        """Act, if the token is right."""
        token = self.headers.get("Authorization", "")
        act = (acts.ACTS | lookalikes.ACTS).get(self.path.removeprefix("/act/"))
        if act is None or not hmac.compare_digest(token, self.token):
            self._answer(HTTPStatus.FORBIDDEN, {"failed": "no such act, or not allowed"})
            return
        sink = self.headers.get("X-Sink", "0")
        try:
            act(Place(self.place.directory, int(sink), self.place.hub))
        except Exception as error:  # noqa: BLE001 - told to the one who asked
            self._answer(HTTPStatus.OK, {"failed": f"{type(error).__name__}: {error}"})
        else:
            self._answer(HTTPStatus.OK, {"failed": ""})

    def _answer(self, status: HTTPStatus, document: object) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base's name
        """Say nothing."""


def main() -> None:
    """Serve until killed."""
    directory, hub = Path(sys.argv[1]), int(sys.argv[2])
    Handler.place, Handler.token = Place(directory, 0, hub), sys.stdin.readline().strip()
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        sys.stdout.write(f"{server.server_address[1]}\n")
        sys.stdout.flush()
        server.serve_forever()


if __name__ == "__main__":
    main()
