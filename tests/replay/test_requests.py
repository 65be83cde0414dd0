"""The probes' own reader of HTTP, run as a program over connections made at random: every request,
every answer and every byte, however the segments fall."""

import ctypes
import random
import re
import subprocess
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np
import pytest

from probes import schema
from probes.loader import OBJECT

HERE: Final = Path(__file__).parent
IN, OUT = 0, 1
DENIED, TURNED_AWAY = 7, {401, 403, 404, 405}
ACK, FIN, RST = 0x10, 0x11, 0x14
REQUEST = b"GET /a HTTP/1.1\r\nHost: x\r\n\r\n"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"
Route = tuple[str, str]


@dataclass
class Reader:
    """The probes as a library; one connection at a time."""

    library: Any
    sent: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        types = schema.load(OBJECT)
        self.counters, self.counts = types.enum("counter"), types.dtype("route_counts")
        self.library.total.restype = ctypes.c_uint64
        self.library.route_at.restype = ctypes.c_void_p

    def begin(self) -> None:
        self.library.begin()
        self.reconnect()

    def reconnect(self) -> None:
        self.library.reconnect()
        self.sent = {IN: 2**32 - 50, OUT: 7}

    def pass_(self, way: int, data: bytes, flags: int = ACK, number: int | None = None) -> None:
        at = self.sent[way] if number is None else number
        self.library.pass_(way, ctypes.c_uint32(at), data, len(data), flags)
        if number is None:
            self.sent[way] += len(data)

    def total(self, name: str) -> int:
        return int(self.library.total(self.counters[f"COUNT_{name}"]))

    def routes(self) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
        rows = (self.library.route_at(at) for at in range(self.library.routes_found()))
        raw = b"".join(ctypes.string_at(row, self.counts.itemsize) for row in rows)
        return np.frombuffer(raw, self.counts)


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    built = tmp_path_factory.mktemp("requests") / "requests.so"
    flags = ("-shared", "-fPIC", "-O1", "-Wno-unused", "-Dpass=pass_")
    places = ("-include", HERE / "kernel.h", "-I", HERE.parent.parent / "probes")
    subprocess.run(["clang", *flags, *places, HERE / "requests.c", "-o", built], check=True)
    return ctypes.CDLL(str(built))


@pytest.fixture
def reader(library: ctypes.CDLL) -> Reader:
    found = Reader(library)
    found.begin()
    return found


def chunked(rnd: random.Random, body: bytes) -> bytes:
    out = b""
    while body:
        size = rnd.randrange(1, 900)
        part, body = body[:size], body[size:]
        out += b"%x%s\r\n%s\r\n" % (len(part), rnd.choice([b"", b";e=1"]), part)
    return out + b"0\r\n" + rnd.choice([b"", b"T: v\r\n"]) + b"\r\n"


def framed(rnd: random.Random, body: bytes) -> tuple[bytes, bytes]:
    """A header that gives a body's bounds, and the body as it is sent."""
    if rnd.random() < 0.4:
        coding = rnd.choice([b"Transfer-Encoding: chunked", b"TRANSFER-encoding:gzip, Chunked"])
        return coding, chunked(rnd, body)
    length = rnd.choice([b"Content-Length: %d", b"content-length:%d", b"CONTENT-LENGTH:  %d "])
    return length % len(body), body


def asked(rnd: random.Random) -> tuple[Route, bytes]:
    method = rnd.choice(["GET", "POST", "HEAD", "PUT", "DELETE"])
    path = rnd.choice(["/a", "/b/c", "/v1/x", "/v2/x", f"/u/{rnd.randrange(10**6)}"])
    line = f"{method} {path}{rnd.choice(['', '?k=1', '?a'])} HTTP/1.1".encode()
    heads, body = [b"Host: x", b"X-Y: " + REQUEST[:14] * rnd.randrange(3)], b""
    if method in {"POST", "PUT"}:
        body = rnd.choice([b"", REQUEST * rnd.randrange(20), rnd.randbytes(rnd.randrange(3000))])
        header, body = framed(rnd, body)
        heads.insert(rnd.randrange(3), header)
    kind = path if path.startswith("/v") else re.sub(r"\d+", "0", path)
    return (method, kind), line + b"\r\n" + b"\r\n".join(heads) + b"\r\n\r\n" + body


def answered(rnd: random.Random, method: str) -> tuple[int, bytes, bytes]:
    """Status, what comes before the answer, the answer."""
    status, heads, body = rnd.choice([200, 200, 201, 204, 302, 304, 404, 500]), [b"Server: y"], b""
    if status not in {204, 304}:
        body = rnd.choice([b"", rnd.randbytes(rnd.randrange(9000)), ANSWER * 9])
        header, body = framed(rnd, body)
        heads.append(header)
    before = rnd.choice(
        [b"", b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 103 X\r\nLink: x\r\n\r\n"]
    )
    head = b"HTTP/1.1 %d Some Reason\r\n" % status + b"\r\n".join(heads) + b"\r\n\r\n"
    return status, before, head + (b"" if method == "HEAD" else body)


def send(reader: Reader, rnd: random.Random, way: int, data: bytes) -> None:
    """In segments of some size, some of them twice."""
    most = rnd.choice([1, 3, 50, 1400, 60000])
    while data:
        size, number = rnd.randrange(1, most + 1), reader.sent[way]
        part, data = data[:size], data[size:]
        reader.pass_(way, part)
        if rnd.random() < 0.1:
            reader.pass_(way, part, number=number)


@pytest.mark.parametrize("seed", range(25))
def test_random_connections_are_read_exactly(reader: Reader, seed: int) -> None:
    rnd = random.Random(seed)
    routes: Counter[Route] = Counter()
    classes, sizes = Counter[int](), Counter[int]()
    for _ in range(rnd.randrange(1, 4)):
        reader.reconnect()
        for _ in range(rnd.randrange(1, 6)):
            questions = [asked(rnd) for _ in range(rnd.choice([1, 1, 2, 8]))]
            answers = [answered(rnd, method) for (method, _), _ in questions]
            send(reader, rnd, IN, b"".join(raw for _, raw in questions))
            send(reader, rnd, OUT, b"".join(before + raw for _, before, raw in answers))
            routes.update(route for route, _ in questions)
            classes.update(status // 100 for status, _, _ in answers)
            classes.update(DENIED for status, _, _ in answers if status in TURNED_AWAY)
            sizes[IN] += sum(len(raw) for _, raw in questions)
            sizes[OUT] += sum(len(raw) for _, _, raw in answers)
        reader.pass_(OUT, b"", FIN)
    found = reader.routes()
    assert reader.total("REQUESTS") == reader.total("ANSWERED") == routes.total()
    assert len(found) == len(routes) == reader.library.routes_new()
    assert sorted(found["requests"].tolist()) == sorted(routes.values())
    assert {n: c for n, c in enumerate(found["answers"].sum(axis=0).tolist()) if c} == classes
    assert (int(found["bytes_in"].sum()), int(found["bytes_out"].sum())) == (sizes[IN], sizes[OUT])
    assert reader.total("UNREAD") == reader.total("UNASKED_BYTES") == 0


def test_requests_sent_far_ahead_are_all_counted(reader: Reader) -> None:
    reader.pass_(IN, REQUEST * 100)
    reader.pass_(OUT, ANSWER * 40)
    reader.pass_(OUT, ANSWER * 60)
    (found,) = reader.routes()
    assert (found["requests"], found["answered"], found["bytes_out"]) == (100, 100, 4300)


def test_a_body_survives_packets_out_of_order(reader: Reader) -> None:
    head = b"POST /b HTTP/1.1\r\nContent-Length: 300\r\n\r\n"
    reader.pass_(IN, head)
    begin = reader.sent[IN]
    for at in (100, 0, 200):
        reader.pass_(IN, b"x" * 100, number=begin + at)
    reader.pass_(OUT, ANSWER)
    (found,) = reader.routes()
    assert (found["requests"], found["answered"], found["bytes_in"]) == (1, 1, len(head) + 300)


def test_an_answer_until_the_close_ends_with_it(reader: Reader) -> None:
    reader.pass_(IN, b"GET /a HTTP/1.0\r\n\r\n")
    for part in (b"HTTP/1.0 200 OK\r\n\r\nhello", b"more"):
        reader.pass_(OUT, part)
    assert reader.total("ANSWERED") == 0
    reader.pass_(OUT, b"", FIN)
    (found,) = reader.routes()
    assert (found["answered"], found["answers"][2], found["bytes_out"]) == (1, 1, 28)


@pytest.mark.parametrize(("sent", "kind"), [(b"", 0), (ANSWER[:-2], 2)])
def test_a_connection_that_breaks_ends_what_was_under_way(
    reader: Reader, sent: bytes, kind: int
) -> None:
    reader.pass_(IN, REQUEST)
    if sent:
        reader.pass_(OUT, sent)
    reader.pass_(IN, b"", RST)
    (found,) = reader.routes()
    assert (found["requests"], found["answered"], found["answers"][kind]) == (1, 1, 1)


def test_another_protocol_is_no_request_and_http_after_it_is(reader: Reader) -> None:
    for data in (b"\0\1\2", b"\xffGET / HTTP/1.1"):
        reader.pass_(IN, data)
        reader.pass_(OUT, b"\1\2")
    assert (reader.total("REQUESTS"), reader.total("UNREAD")) == (0, 1)
    reader.pass_(IN, REQUEST)
    reader.pass_(OUT, ANSWER)
    assert (reader.total("ANSWERED"), reader.total("UNREAD")) == (1, 1)


def test_a_connection_that_switches_is_passed_over(reader: Reader) -> None:
    reader.pass_(IN, REQUEST)
    reader.pass_(OUT, b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\r\n")
    reader.pass_(IN, REQUEST)
    assert (reader.total("REQUESTS"), reader.total("UNASKED_BYTES")) == (1, 0)


def test_random_bytes_break_nothing(reader: Reader) -> None:
    rnd = random.Random(1)
    for _ in range(300):
        reader.reconnect()
        for _ in range(6):
            raw = bytearray(rnd.choice([REQUEST, ANSWER, rnd.randbytes(200)]) * 3)
            for _ in range(rnd.randrange(9)):
                raw[rnd.randrange(len(raw))] = rnd.randrange(256)
            send(reader, rnd, rnd.randrange(2), bytes(raw))
        reader.pass_(OUT, b"", FIN)
    assert reader.total("REQUESTS") == reader.total("ANSWERED")
