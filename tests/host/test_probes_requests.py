"""Requests on accepted connections are counted exactly, however the bytes come."""

import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from collectors.requests import Requests, Traffic
from tests.host.eyes import Eyes, Gated

MANY = 1009
SERVER = """
import http.server, socket, time
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version, disable_nagle_algorithm = "HTTP/1.1", True
    def log_message(self, *a): pass
    def reply(self, body=b"fine"):
        self.send_response(500 if "fail" in self.path else 200)
        self.send_header("Content-Length", str(len(body))); self.end_headers()
        if self.command != "HEAD": self.wfile.write(body)
    do_HEAD = reply
    def do_GET(self):
        if self.path.startswith("/stream"): return self.stream()
        if self.path == "/close":
            self.send_response(200); self.end_headers()
            self.wfile.write(b"x" * 1000); self.close_connection = True
            return
        self.reply()
    def stream(self):
        self.send_response(200); self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for at in range(5):
            time.sleep(0.03); self.wfile.write(b"9\\r\\ndata: %d\\n\\n\\r\\n" % at)
        self.wfile.write(b"0\\r\\n\\r\\n")
    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0))); self.reply()
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6 if ":" in sys.argv[1] else socket.AF_INET
    daemon_threads = True
server = Server((sys.argv[1], 0), Handler)
gate()
print(server.server_address[1], flush=True)
server.serve_forever()
"""
RAW = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
gate()
print(listener.getsockname()[1], flush=True)
line, _ = listener.accept()
for part in sys.argv[1:]:
    line.recv(65536); line.sendall(bytes.fromhex(part))
while line.recv(65536): pass
"""


class Watched:
    """A server, and what was read of it since it began."""

    def __init__(self, eyes: Eyes, gated: Gated, host: str) -> None:
        gated.tell()
        self.eyes, self.gated, self.host = eyes, gated, host
        self.port = int(gated.hear())
        self.requests = Requests(eyes.sensor)
        eyes.seen(gated.number)

    def connect(self) -> socket.socket:
        line = socket.create_connection((self.host, self.port), 10)
        line.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return line

    def traffic(self) -> Traffic:
        time.sleep(0.1)
        found = self.requests.read().get(self.gated.number)
        assert found is not None
        return found

    def total(self, name: str) -> int:
        return self.eyes.seen(self.gated.number).totals[f"COUNT_{name}"]


@contextmanager
def served(eyes: Eyes, host: str = "127.0.0.1") -> Iterator[Watched]:
    with eyes.python(SERVER, host) as gated:
        yield Watched(eyes, gated, host)


@contextmanager
def raw(eyes: Eyes, *parts: bytes) -> Iterator[Watched]:
    with eyes.python(RAW, *(part.hex() for part in parts)) as gated:
        yield Watched(eyes, gated, "127.0.0.1")


def ask(line: socket.socket, text: bytes, answers: int = 1) -> bytes:
    """Send, and read until so many bodies of `fine` came."""
    line.sendall(text)
    got = b""
    while got.count(b"fine") < answers:
        part = line.recv(65536)
        assert part, got
        got += part
    return got


def request(path: str, body: bytes = b"") -> bytes:
    line = f"{'POST' if body else 'GET'} {path} HTTP/1.1"
    return f"{line}\r\nHost: x\r\ncontent-LENGTH: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_every_request_of_a_kept_connection_is_counted(eyes: Eyes, host: str) -> None:
    with served(eyes, host) as server:
        with server.connect() as line:
            for at in range(MANY):
                ask(line, request(f"/v1/items/{at}?q={at}"))
        found = server.traffic()
        assert server.total("REQUESTS") == server.total("ANSWERED") == MANY
    assert [(r.route, r.requests, r.answers) for r in found.routes] == [
        ("GET /v1/items/<n>", MANY, MANY)
    ]
    assert found.under_way == 0
    assert found.by_peer == {"loopback": MANY}
    assert int(found.waits.sum()) == MANY
    assert found.clients[0].inputs > 100
    assert server.eyes.seen(server.gated.number).losses.total() == 0


def test_a_kind_of_request_is_told_once_without_its_query(eyes: Eyes) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            for path in ("/a/1?secret=1", "/a/2?secret=2", "/a/b", "/a/b"):
                ask(line, request(path))
            ask(line, request("/a/b", b"body"))
        told = eyes.seen(server.gated.number).items("request")
    assert told == ["GET /a/<n>", "GET /a/b", "POST /a/b"]


def test_single_bytes_make_the_same_requests(eyes: Eyes) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            for _ in range(3):
                for byte in request("/slow/path", b"GET / HTTP/1.1\r\n\r\n")[:-1]:
                    line.sendall(bytes([byte]))
                ask(line, b"\n")
        found = server.traffic()
    assert [(r.route, r.requests, r.answers) for r in found.routes] == [("POST /slow/path", 3, 3)]


@pytest.mark.parametrize("count", [2, 8, 100])
def test_pipelined_requests_are_told_apart(eyes: Eyes, count: int) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            asked = [request(f"/p{'ab'[at % 2]}", b"x" * at) for at in range(count)]
            ask(line, b"".join(asked), count)
        found = server.traffic()
        assert server.total("REQUESTS") == server.total("ANSWERED") == count
    assert found.total("requests") == count
    assert found.under_way == 0


def test_a_body_that_reads_like_a_request_is_none(eyes: Eyes) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            line.sendall(request("/real", b"x" * 40)[:-40])
            time.sleep(0.05)
            ask(line, b"GET /fake HTTP/1.1\r\nHost: x\r\n\r\n".ljust(40, b"x"))
        found = server.traffic()
    assert [r.route for r in found.routes] == ["POST /real"]


def test_heads_errors_and_answers_without_length(eyes: Eyes) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            line.sendall(b"HEAD /h HTTP/1.1\r\nHost: x\r\n\r\n")
            line.recv(65536)
            ask(line, request("/fail"))
            line.sendall(request("/close"))
            while line.recv(65536):
                pass
        found = server.traffic()
    by_route = {r.route: r for r in found.routes}
    assert by_route["GET /fail"].errors == 1
    assert by_route["HEAD /h"].answers == by_route["HEAD /h"].answered == 1
    assert by_route["GET /close"].bytes_out > 1000
    assert found.under_way == 0


def test_a_streamed_answer_shows_its_gaps(eyes: Eyes) -> None:
    with served(eyes) as server:
        with server.connect() as line:
            line.sendall(request("/stream"))
            got = b""
            while not got.endswith(b"0\r\n\r\n"):
                got += line.recv(65536)
        found = server.traffic()
    assert found.total("answered") == 1
    assert int(found.gaps.sum()) >= 5
    assert 15 < (found.gap_ms(0.5) or 0) < 120


def test_a_request_without_an_answer_is_given_up_with_its_connection(eyes: Eyes) -> None:
    with raw(eyes) as server:
        line = server.connect()
        line.sendall(request("/never"))
        assert server.traffic().under_way == 1
        line.close()
        found = server.traffic()
    assert found.unanswered == 1
    assert found.under_way == 0


def test_what_is_no_http_is_counted_as_unread_and_tls_as_tls(eyes: Eyes) -> None:
    with raw(eyes, b"hello") as server:
        with server.connect() as line:
            line.sendall(b"\x00\x01\x02 binary")
            line.recv(10)
        assert server.total("UNREAD") == 1
        assert server.total("REQUESTS") == 0
    with raw(eyes, b"\x16\x03") as server:
        with server.connect() as line:
            line.sendall(b"\x16\x03\x01\x02\x00" + bytes(512))
            line.recv(10)
        assert server.total("TLS") == 1
        assert server.total("UNREAD") == 0


def test_output_that_nobody_asked_for_is_counted(eyes: Eyes) -> None:
    answer = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nfine"
    with raw(eyes, answer, answer + b"y" * 10) as server:
        with server.connect() as line:
            ask(line, request("/one"))
            line.sendall(b"\r\n")  # nothing, by RFC 9112
            line.recv(65536)
        assert server.total("UNASKED_BYTES") == len(answer) + 10


def frame(kind: int, flags: int, stream: int, body: bytes = b"") -> bytes:
    head = struct.pack(">I", len(body))[1:] + bytes([kind, flags])
    return head + struct.pack(">I", stream) + body


def test_streams_of_http2_are_counted(eyes: Eyes) -> None:
    answered = b"".join(
        frame(1, 4, at, b"\x88") + frame(0, 0, at, b"x" * 99) + frame(1, 5, at, b"\x40\x01a\x01b")
        for at in (1, 3, 5)
    )
    asked = b"".join(frame(1, 4, at, b"\x83") + frame(0, 1, at, b"y" * 50) for at in (1, 3, 5))
    with raw(eyes, frame(4, 0, 0) + answered) as server:
        with server.connect() as line:
            line.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + frame(4, 0, 0) + asked)
            line.recv(65536)
        found = server.traffic()
    assert [(r.route, r.requests, r.answers, r.answered) for r in found.routes] == [
        ("HTTP/2 streams", 3, 3, 3)
    ]
