"""The probes' own sketches of bodies, run as a program: byte for byte what a reference in Python
makes of the same bodies, however the segments fall."""

import ctypes
import random
from collections.abc import Sequence
from typing import Final

import numpy as np
import pytest
from numpy.typing import NDArray

from probes import schema
from probes.loader import OBJECT
from tests.replay.test_requests import ANSWER, IN, OUT, REQUEST, Reader, chunked, library, send

__all__ = ["library"]

SALT: Final = (0x0123456789ABCDEF, 0xFEDCBA9876543210)
WORD: Final = 1 << 64
MOST: Final = 4096
EVERY: Final = 1 << 16
Counts = NDArray[np.uint32]


def reference(body: bytes, most: int, salt: tuple[int, int] = SALT) -> Counts:
    """What a body adds to its route's sketch."""
    counts = np.zeros(256, np.uint32)
    read = body[:most]
    for at in range(len(read) - 2):
        gram = int.from_bytes(read[at : at + 3], "big")
        mixed = (gram ^ salt[0]) * (salt[1] | 1) % WORD
        mixed = (mixed ^ mixed >> 32) * (salt[0] | 1) % WORD
        counts[mixed >> 56] += 1
    return counts


def total(bodies: Sequence[bytes], most: int) -> Counts:
    counts = np.zeros(256, np.uint32)
    for body in bodies:
        counts += reference(body, most)
    return counts


@pytest.fixture
def reader(library: ctypes.CDLL) -> Reader:
    found = Reader(library)
    found.begin()
    library.sketch_at.restype = ctypes.c_void_p
    return found


def tap(reader: Reader, most: int, room: int = 4096) -> None:
    first, second = (ctypes.c_uint64(part) for part in SALT)
    reader.library.tap(most, first, second, room)


def sketches(reader: Reader) -> "np.ndarray[tuple[int], np.dtype[np.void]]":
    dtype = schema.load(OBJECT).dtype("sketch")
    rows = (reader.library.sketch_at(at) for at in range(reader.library.sketches_found()))
    raw = b"".join(ctypes.string_at(row, dtype.itemsize) for row in rows)
    return np.frombuffer(raw, dtype)


def posted(body: bytes, path: str = "/a") -> bytes:
    return f"POST {path} HTTP/1.1\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body


@pytest.mark.parametrize("seed", range(15))
def test_the_sketch_is_the_references_however_the_bytes_come(reader: Reader, seed: int) -> None:
    rnd = random.Random(seed)
    most = rnd.choice([3, 64, 65, 512, MOST])
    tap(reader, most)
    bodies = []
    for _ in range(rnd.randrange(1, 12)):
        body = rnd.choice([rnd.randbytes(rnd.randrange(5000)), b"a text " * rnd.randrange(300)])
        bodies.append(body)
        raw = posted(body)
        if rnd.random() < 0.4:
            raw = b"POST /a HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + chunked(rnd, body)
        send(reader, rnd, IN, raw)
        send(reader, rnd, OUT, ANSWER)
    (found,) = sketches(reader)
    assert (found["counts"] == total(bodies, most)).all()
    assert found["requests"] == sum(1 for body in bodies if body)
    assert reader.total("ANSWERED") == len(bodies)


def test_the_bytes_are_cleared_behind_the_sketch(reader: Reader) -> None:
    tap(reader, MOST)
    reader.pass_(IN, posted(b"what somebody asks" * 50))
    assert reader.library.sketches_found() == 1
    assert not reader.library.bytes_left()


def test_an_untapped_workload_has_no_sketch(reader: Reader) -> None:
    reader.pass_(IN, posted(b"what somebody asks"))
    assert reader.library.sketches_found() == 0


def test_heads_queries_and_answers_are_in_no_sketch(reader: Reader) -> None:
    tap(reader, MOST)
    reader.pass_(IN, REQUEST)
    reader.pass_(OUT, ANSWER)
    reader.pass_(IN, posted(b"xyz", "/a?q=secret"))
    (found,) = sketches(reader)
    assert found["counts"].sum() == 1


def test_each_route_has_its_own(reader: Reader) -> None:
    tap(reader, MOST)
    for body, path in ((b"one body", "/a"), (b"another one", "/b"), (b"one body", "/a")):
        reader.pass_(IN, posted(body, path))
        reader.pass_(OUT, ANSWER)
    first, second = sketches(reader)
    assert (first["counts"] == 2 * reference(b"one body", MOST)).all()
    assert (second["counts"] == reference(b"another one", MOST)).all()


def test_a_gap_makes_no_gram_of_bytes_that_were_not_together(reader: Reader) -> None:
    tap(reader, MOST)
    body = bytes(range(200)) + b"\0" * 100
    head = posted(body)[: -len(body)]
    reader.pass_(IN, head + body[:100])
    begin = reader.sent[IN]
    reader.pass_(IN, body[150:], number=begin + 50)
    (found,) = sketches(reader)
    assert (found["counts"] == total([body[:100], body[150:]], MOST)).all()


def test_requests_sent_ahead_are_read_to_their_ends_with_a_tap(reader: Reader) -> None:
    tap(reader, MOST)
    bodies = [bytes([at]) * 400 for at in range(100)]
    reader.pass_(IN, b"".join(map(posted, bodies)))
    reader.pass_(OUT, ANSWER * 100)
    (found,) = sketches(reader)
    assert found["requests"] == 100
    assert found["counts"].sum() == 100 * 398
    assert (reader.total("ANSWERED"), reader.total("UNREAD")) == (100, 0)


def test_what_finds_no_room_is_counted(reader: Reader) -> None:
    tap(reader, MOST, room=1)
    for path in ("/a", "/b", "/b"):
        reader.pass_(IN, posted(b"a body", path))
        reader.pass_(OUT, ANSWER)
    assert reader.library.sketches_found() == 1
    assert reader.total("UNSKETCHED") == 2


def test_a_prefix_beyond_the_limit_reads_no_further_than_one_packet_may(reader: Reader) -> None:
    tap(reader, EVERY - 1)
    body = b"0123456789" * 1000
    reader.pass_(IN, posted(body))
    reader.pass_(OUT, ANSWER)
    (found,) = sketches(reader)
    assert MOST <= found["counts"].sum() < len(body)
    assert reader.total("ANSWERED") == 1
