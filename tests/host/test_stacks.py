"""The verdict on a grave call names the function that made it."""

import shutil
import time
from collections.abc import Iterator

import pytest

from tests.host import eyes
from tests.host.daemons import Daemon, Server, wait_for

pytestmark = pytest.mark.timeout(180)

LOAD = "answer = ctypes.CDLL({library!r}).deed_open_secret(b'/dev/null')"
DEED = "answer = ctypes.CDLL({library!r}).deed_open_secret({path!r}.encode())"
CONNECT = "socket.create_connection(('127.0.0.1', {port}), 2).close()"
SHELL = "subprocess.run(['/bin/sh', '-c', 'true'])"


@pytest.fixture(scope="module")
def scene() -> Iterator[tuple[Daemon, Server, str]]:
    daemon = Daemon()
    server = Server(daemon.at / "served")
    try:
        daemon.configure(server.rule("alert")).start()
        server.start()
        eyes.build_all()
        library = str(shutil.copy(eyes.LIBRARY, server.home))
        assert server.do(LOAD.format(library=library)) == 1
        wait_for(lambda: daemon.workload(server.name).get("state") == "guarding", 90.0)
        time.sleep(0.5)  # the kernel is asked for stacks when the window closes
        yield daemon, server, library
    finally:
        server.stop()
        daemon.close()


def test_the_function_that_opened_a_secret_is_named(scene: tuple[Daemon, Server, str]) -> None:
    daemon, server, library = scene
    secret = server.home / ".aws" / "credentials"
    secret.parent.mkdir()
    secret.write_text("decoy\n")
    server.do(DEED.format(library=library, path=str(secret)))
    stack = daemon.told(server.name, str(secret))["stack"]
    symbols = [frame["symbol"].partition("+")[0] for frame in stack]
    assert symbols[1] == "deed_open_secret", stack
    assert stack[1]["module"] == library
    assert "open" in symbols[0]
    told = daemon.command("explain", daemon.told(server.name, str(secret))["id"]).stdout
    assert told.index("Records around it") < told.index("Stack of the call")
    assert "deed_open_secret+" in told


def test_the_stack_of_a_new_peer_begins_in_connect(scene: tuple[Daemon, Server, str]) -> None:
    daemon, server, _ = scene
    server.order(CONNECT.format(port=1013))
    stack = daemon.told(server.name, "tcp 127.0.0.1:1013")["stack"]
    assert "connect" in stack[0]["symbol"]
    assert len(stack) > 1


def test_the_stack_of_a_new_program_is_of_the_call_that_made_its_process(
    scene: tuple[Daemon, Server, str],
) -> None:
    daemon, server, _ = scene
    server.do(SHELL)
    stack = daemon.told(server.name, "/usr/bin/dash")["stack"]
    assert "fork" in stack[0]["symbol"], stack
