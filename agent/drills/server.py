"""The drills' own test server: answers on loopback, and acts when told to.

    python -m agent.drills.server DIRECTORY HUB

Prints its port. Only who knows the token, read from standard input, can make it act.
"""

from __future__ import annotations

import sys
from http import HTTPStatus
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Final

from agent.drills.door import Door
from agent.drills.place import Place

MANAGED: Final = "/v2/repository/models/drill/load"
UNMANAGED: Final = "/v2/repository/models/nothing/load"
"""A management call as Triton has it, which does nothing here; and one that is not there."""

_CHUNK_BYTES: Final = 64 << 10


class Handler(Door):
    """`GET /predict` works as a model server does; `POST /act` acts."""

    def do_GET(self) -> None:  # noqa: N802 - the base of the base names it
        """Read a piece of the model and answer."""
        with self.place.model.open("rb") as file:
            total = sum(file.read(_CHUNK_BYTES))
        self.answer(HTTPStatus.OK, {"sum": total})

    def do_POST(self) -> None:  # noqa: N802 - the same
        """Act, or answer a management call."""
        if self.path == MANAGED:
            self.answer(HTTPStatus.OK, {})
        elif self.path == UNMANAGED:
            self.answer(HTTPStatus.NOT_FOUND, {})
        else:
            super().do_POST()


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
