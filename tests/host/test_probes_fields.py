"""Requests of HTTP/2 are counted by method, path and answer, however they are compressed."""

import random
import socket
import time
from collections import Counter, deque
from collections.abc import Iterable

import pytest

from collectors.requests import RouteTraffic
from probes import huffman
from tests.host.eyes import Eyes
from tests.host.test_probes_requests import Watched, frame, raw

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
HEADERS, CONTINUATION = 1, 9
LAST, WHOLE, PADDED, PRIORITY = 1, 4, 8, 0x20
POST = b"\x83"
OK = b"\x88"
INSERT, PLAIN, NEVER = 0x40, 0x00, 0x10
INFER = "/inference.GRPCInferenceService/ModelInfer"


def integer(value: int, bits: int, first: int) -> bytes:
    """RFC 7541, 5.1."""
    most = (1 << bits) - 1
    if value < most:
        return bytes([first | value])
    found, value = [first | most], value - most
    while value > 127:
        found.append(value & 127 | 128)
        value >>= 7
    return bytes([*found, value])


def string(text: bytes, *, coded: bool = False) -> bytes:
    """RFC 7541, 5.2."""
    if not coded:
        return integer(len(text), 7, 0) + text
    codes = huffman.codes()
    bits = "".join(f"{code:0{count}b}" for code, count in (codes[letter] for letter in text))
    bits += "1" * (-len(bits) % 8)
    return integer(len(bits) // 8, 7, 0x80) + int(bits or "0", 2).to_bytes(len(bits) // 8)


def field(name: int | str, value: str, how: int = INSERT, *, coded: bool = False) -> bytes:
    """A literal, named by an index or in letters."""
    bits = 6 if how == INSERT else 4
    if isinstance(name, int):
        return integer(name, bits, how) + string(value.encode(), coded=coded)
    words = (string(text.encode(), coded=coded) for text in (name, value))
    return bytes([how]) + b"".join(words)


def index(number: int) -> bytes:
    return integer(number, 7, 0x80)


def answered(*streams: int, block: bytes = OK) -> bytes:
    return b"".join(frame(HEADERS, WHOLE | LAST, at, block) for at in streams)


def talk(server: Watched, *parts: bytes) -> None:
    """Send each in a packet of its own, and read what the server says to the last."""
    with server.connect() as line:
        for part in parts:
            line.sendall(part)
            time.sleep(0.002)
        line.settimeout(5)
        line.recv(65536)
        line.shutdown(socket.SHUT_WR)


def counted(routes: Iterable[RouteTraffic]) -> dict[str, tuple[int, int, int]]:
    return {one.route: (one.requests, one.answers, one.answered) for one in routes}


def asked(eyes: Eyes, blocks: bytes, count: int, *, split: int = 0) -> dict[str, int]:
    """What requests with these frames are counted as, each answered with 200."""
    text = frame(4, 0, 0) + blocks
    parts = [text[at : at + split] for at in range(0, len(text), split)] if split else [text]
    answer = answered(*range(1, 2 * count, 2))
    with eyes.python(WAITING, answer.hex(), str(len(PREFACE) + len(text))) as gated:
        server = Watched(eyes, gated, "127.0.0.1")
        talk(server, PREFACE + parts[0], *parts[1:])
        found = counted(server.traffic().routes)
        assert server.total("REQUESTS") == server.total("ANSWERED") == count
    assert all(one == (one[0], one[0], one[0]) for one in found.values()), found
    return {route: one[0] for route, one in found.items()}


WAITING = """
import socket
listener = socket.create_server(("127.0.0.1", 0))
gate()
print(listener.getsockname()[1], flush=True)
line, _ = listener.accept()
left = int(sys.argv[2])
while left: left -= len(line.recv(left))
line.sendall(bytes.fromhex(sys.argv[1]))
while line.recv(65536): pass
"""


def heads(*blocks: bytes) -> bytes:
    return b"".join(
        frame(HEADERS, WHOLE, 2 * at + 1, block) + frame(0, LAST, 2 * at + 1, b"body")
        for at, block in enumerate(blocks)
    )


@pytest.mark.parametrize("coded", [False, True])
@pytest.mark.parametrize("how", [INSERT, PLAIN, NEVER])
@pytest.mark.parametrize("name", [4, 5, ":path"])
def test_a_path_is_read_however_it_is_written(
    eyes: Eyes, name: int | str, how: int, *, coded: bool
) -> None:
    block = POST + field(name, INFER, how, coded=coded)
    assert asked(eyes, heads(block, block), 2) == {f"POST {INFER}": 2}


@pytest.mark.parametrize("split", [1, 7])
def test_single_bytes_make_the_same_requests(eyes: Eyes, split: int) -> None:
    block = POST + field(":path", INFER, coded=True) + field("user-agent", "x" * 70)
    again = POST + index(63) + index(62)
    assert asked(eyes, heads(block, again), 2, split=split) == {f"POST {INFER}": 2}


def test_a_path_that_became_an_entry_is_known_by_its_index(eyes: Eyes) -> None:
    first = POST + field(4, "/a/Load") + field("te", "trailers")
    second = POST + field(4, "/b/Infer")
    blocks = [first, second, POST + index(64), POST + index(62), POST + index(64)]
    assert asked(eyes, heads(*blocks), 5) == {"POST /a/Load": 3, "POST /b/Infer": 2}


def test_methods_are_read_too(eyes: Eyes) -> None:
    blocks = [
        b"\x82\x84",  # GET /
        b"\x82\x85",  # GET /index.html
        field(2, "DELETE") + field(4, "/m/7"),
        index(63) + index(62),
        field(":method", "PUT", coded=True) + index(63),
    ]
    assert asked(eyes, heads(*blocks), 5) == {
        "GET /": 1,
        "GET /index.html": 1,
        "DELETE /m/<n>": 2,
        "PUT /m/<n>": 1,
    }


def test_what_follows_a_question_mark_is_not_kept(eyes: Eyes) -> None:
    blocks = [POST + field(4, f"/a/{at}?secret={at}") for at in range(3)]
    assert asked(eyes, heads(*blocks), 3) == {"POST /a/<n>": 3}


def test_padding_priority_and_continuations_are_no_fields(eyes: Eyes) -> None:
    block = POST + field(4, INFER, coded=True) + field("x", "y" * 200)
    first = frame(HEADERS, PADDED | PRIORITY | WHOLE, 1, b"\x07" + bytes(5) + block + bytes(7))
    second = frame(HEADERS, PADDED, 3, b"\x02" + POST + b"\0\0")
    third = frame(CONTINUATION, 0, 3) + frame(CONTINUATION, WHOLE, 3, index(63))
    cut = frame(HEADERS, PRIORITY | LAST, 5, bytes(5) + block[:3])
    pieces = [frame(CONTINUATION, 0, 5, block[at : at + 5]) for at in range(3, len(block), 5)]
    blocks = first + second + third + cut + b"".join(pieces) + frame(CONTINUATION, WHOLE, 5)
    assert asked(eyes, blocks, 3) == {f"POST {INFER}": 3}
    assert asked(eyes, blocks, 3, split=1) == {f"POST {INFER}": 3}


def test_entries_are_numbered_through_evictions_and_changes_of_size(eyes: Eyes) -> None:
    fill = b"".join(field("x", "y" * 100 + str(at)) for at in range(50))
    blocks = [
        POST + field(4, "/old/Path"),
        POST + fill + field(4, "/new/Path"),
        b"\x3f\xe1\x1f" + b"\x20" + b"\x3f\xe1\x1f" + POST + field(4, "/newest/Path"),
        POST + index(62),
    ]
    wanted = {"POST /old/Path": 1, "POST /new/Path": 1, "POST /newest/Path": 2}
    assert asked(eyes, heads(*blocks), 4) == wanted


def test_a_path_that_was_forgotten_is_a_stream_and_never_guessed(eyes: Eyes) -> None:
    blocks = [POST + field(4, f"/p{'abcdefghijklm'[at]}") for at in range(9)]
    found = asked(eyes, heads(*blocks, POST + index(62 + 8), POST + index(62 + 7)), 11)
    assert found["HTTP/2 streams"] == 1
    assert found["POST /pb"] == 2
    assert len(found) == 10


def test_services_of_long_names_are_kept_and_long_words_are_not(eyes: Eyes) -> None:
    service = "/org.pytorch.serve.grpc.management.ManagementAPIsService/RegisterModel"
    blocks = [POST + field(4, path) for path in (service, "/" + "x" * 40, "/" + "x" * 39)]
    assert asked(eyes, heads(*blocks), 3) == {f"POST {service}": 1, "POST /<id>": 2}


@pytest.mark.parametrize(
    "broken",
    [
        b"\x80",  # no such index
        index(99),  # nor this entry
        POST + b"\x04\x81\x00",  # a code cut short, padded with zeros
        POST + b"\x04\x84" + b"\xff" * 4,  # the code of the end
        POST + b"\x7f" + b"\xff" * 6,  # an integer beyond 32 bits
        POST + field(4, "/a") + field(4, "/b"),
        field(4, "/cut")[:-1],
        POST + field(4, "/a b"),
    ],
)
def test_what_is_malformed_is_counted_as_streams_from_there_on(eyes: Eyes, broken: bytes) -> None:
    text = frame(4, 0, 0) + heads(POST + field(4, "/good"), broken, POST + field(4, "/good"))
    with raw(eyes, answered(1, 3, 5)) as server:
        talk(server, PREFACE + text)
        found = counted(server.traffic().routes)
        assert server.total("UNREAD") == 1
    assert found == {"POST /good": (1, 1, 1), "HTTP/2 streams": (2, 2, 2)}


def test_answers_are_told_by_their_status(eyes: Eyes) -> None:
    blocks = [OK, b"\x8d", b"\x8e", field(8, "403"), index(62), field(":status", "503", coded=True)]
    text = b"".join(answered(2 * at + 1, block=block) for at, block in enumerate(blocks))
    with raw(eyes, frame(4, 0, 0) + text) as server:
        talk(server, PREFACE + heads(*[POST + field(4, "/a", PLAIN)] * 6))
        found = server.traffic()
    (one,) = found.routes
    assert (one.answers, one.refusals, one.denied, one.errors) == (6, 3, 3, 2)
    assert found.clients[0].errors == 5
    assert int(found.waits.sum()) == 6


def test_what_grpc_says_behind_a_body_is_the_answer(eyes: Eyes) -> None:
    says = [field("grpc-status", str(code), coded=code == 5) for code in (0, 3, 5, 7, 12, 13, 14)]
    says += [index(62 + 6), index(62), field(62, "16"), field(62, "99", PLAIN)]
    text = frame(4, 0, 0)
    for at, block in enumerate(says):
        stream = 2 * at + 1
        text += frame(HEADERS, WHOLE, stream, OK) + frame(0, 0, stream, b"x" * 9)
        text += frame(HEADERS, WHOLE | LAST, stream, block)
    with raw(eyes, text) as server:
        talk(server, PREFACE + heads(*[POST + field(4, INFER)] * len(says)))
        found = server.traffic()
    (one,) = found.routes
    assert (one.requests, one.answers, one.answered) == (11, 11, 11)
    assert (one.refusals, one.denied, one.errors) == (5, 4, 4)
    assert found.under_way == 0


def test_a_hundred_streams_at_once_are_all_counted(eyes: Eyes) -> None:
    block = POST + field(4, INFER)
    with raw(eyes, answered(*range(1, 201, 2))) as server:
        talk(server, PREFACE + heads(block, *[POST + index(62)] * 99))
        found = counted(server.traffic().routes)
        assert server.total("ANSWERED") == 100
    assert found == {f"POST {INFER}": (100, 100, 100)}


@pytest.mark.parametrize(("step", "low", "high"), [(0, 1, 3), (1, 25, 50)])
def test_different_bodies_are_different_inputs(eyes: Eyes, step: int, low: int, high: int) -> None:
    block = POST + field(4, INFER, PLAIN)
    text = b"".join(
        frame(HEADERS, WHOLE, 2 * at + 1, block) + frame(0, LAST, 2 * at + 1, bytes(9 + at * step))
        for at in range(40)
    )
    with raw(eyes, answered(*range(1, 81, 2))) as server:
        talk(server, PREFACE + text)
        (client,) = server.traffic().clients
    assert client.requests == 40
    assert low <= client.inputs <= high


def test_streams_cut_off_are_unanswered(eyes: Eyes) -> None:
    with raw(eyes) as server:
        line = server.connect()
        reset = frame(3, 0, 3, bytes(4))
        line.sendall(PREFACE + heads(*[POST + field(4, "/a", PLAIN)] * 3) + reset)
        assert server.traffic().under_way == 2
        line.close()
        found = server.traffic()
    assert found.unanswered == 2
    assert found.under_way == 0


class Encoder:
    """Requests at random, and what each must be counted as."""

    def __init__(self, seed: int) -> None:
        """Empty tables at both ends."""
        self.chance = random.Random(seed)
        self.inserted, self.kept = 0, deque[tuple[int, str, str]](maxlen=8)
        self.entries: list[tuple[int, str]] = []

    def field(self, kind: str, name: int | str, value: str) -> bytes:
        """Written out in one of the ways, and remembered where it becomes an entry."""
        how = self.chance.choice((INSERT, PLAIN, NEVER))
        if how == INSERT:
            self.inserted += 1
            if kind:
                self.kept.append((self.inserted, kind, value))
                self.entries.append((self.inserted, value))
        return field(name, value, how, coded=self.chance.random() < 0.5)

    def other(self) -> bytes:
        """Something that nobody reads."""
        word = "".join(self.chance.choices("abcxyz0189-~\xe9", k=self.chance.randrange(40)))
        return self.field("", self.chance.choice(("x-" + word, 58, 31)), word * 4)

    def request(self) -> tuple[bytes, str]:
        """A block, and the name of its route."""
        parts = [self.other() for _ in range(self.chance.randrange(4))] + [POST]
        if self.entries and self.chance.random() < 0.5:
            number, path = self.chance.choice(self.entries[-12:])
            parts.append(index(62 + self.inserted - number))
            known = (number, "path", path) in self.kept
        else:
            path, known = f"/s.{self.chance.choice('abcdefghijkl')}/Call", True
            parts.append(self.field("path", self.chance.choice((4, 5, ":path")), path))
        parts += [self.other() for _ in range(self.chance.randrange(4))]
        return b"".join(parts), f"POST {path}" if known else "HTTP/2 streams"


@pytest.mark.parametrize("seed", range(6))
def test_requests_at_random_are_counted_by_their_paths(eyes: Eyes, seed: int) -> None:
    encoder = Encoder(seed)
    made = [encoder.request() for _ in range(50)]
    wanted = Counter(route for _, route in made)
    blocks = heads(*(block for block, _ in made))
    assert asked(eyes, blocks, 50, split=encoder.chance.randrange(20, 900)) == wanted
