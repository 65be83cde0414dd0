"""Host names a workload asks for are told, whatever it asks with."""

import socket
import struct
from collections.abc import Iterator

import pytest

from tests.host.eyes import Eyes

ASK = """
import socket
kind, question, times = int(sys.argv[1]), bytes.fromhex(sys.argv[2]), int(sys.argv[3])
gate()
for _ in range(times):
    s = socket.socket(socket.AF_INET, kind)
    s.connect(("127.0.0.53", 53))
    s.send(question)
"""
UDP, TCP = int(socket.SOCK_DGRAM), int(socket.SOCK_STREAM)


def _question(name: str) -> bytes:
    parts = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", 17, 0x0100, 1, 0, 0, 0) + parts + b"\0" + struct.pack(">2H", 1, 1)


@pytest.fixture
def resolver() -> Iterator[None]:
    """Takes what is asked and says nothing; a single datagram needs nobody to take it."""
    with (
        socket.create_server(("127.0.0.53", 53), backlog=16),
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taking,
    ):
        taking.bind(("127.0.0.53", 53))
        yield


def _asked(eyes: Eyes, kind: int, message: bytes, times: int = 1) -> list[str]:
    with eyes.python(ASK, kind, message.hex(), times) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number).items("name")


def test_a_name_asked_for_7_times_is_told_once(eyes: Eyes) -> None:
    assert _asked(eyes, UDP, _question("models.example.org"), 7) == ["models.example.org"]


def test_the_case_of_a_name_says_nothing(eyes: Eyes) -> None:
    assert _asked(eyes, UDP, _question("Models.EXAMPLE.oRg")) == ["models.example.org"]


def test_a_name_asked_for_over_tcp_is_told(eyes: Eyes, resolver: None) -> None:
    question = _question("weights.example.org")
    message = struct.pack(">H", len(question)) + question
    assert _asked(eyes, TCP, message) == ["weights.example.org"]


def test_a_name_too_long_for_a_record_keeps_its_beginning(eyes: Eyes) -> None:
    name = ".".join(["0123456789" * 5] * 4)
    (told,) = _asked(eyes, UDP, _question(name))
    assert len(told) > 100
    assert name.startswith(told)


def test_what_is_no_question_is_no_name(eyes: Eyes) -> None:
    assert not _asked(eyes, UDP, b"\xff" * 64)
    assert not _asked(eyes, UDP, b"\0")


MANY = """
import socket
family, kind, host = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
gate()
s = socket.socket(family, kind)
s.connect((host, 53))
for part in sys.argv[4:]:
    s.send(bytes.fromhex(part))
    if kind == socket.SOCK_STREAM: __import__("time").sleep(0.01)
"""
SERVING = """
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(("127.0.0.1", 0))
gate()
print(s.getsockname()[1], flush=True)
question, asker = s.recvfrom(4096)
s.sendto(question, asker)
"""
V4, V6 = int(socket.AF_INET), int(socket.AF_INET6)


def _sent(eyes: Eyes, family: int, kind: int, host: str, *parts: bytes) -> list[str]:
    with eyes.python(MANY, family, kind, host, *(part.hex() for part in parts)) as gated:
        gated.tell()
        gated.end()
    return eyes.seen(gated.number).items("name")


def _framed(name: str) -> bytes:
    question = _question(name)
    return struct.pack(">H", len(question)) + question


def test_100_questions_by_one_socket_are_100_names(eyes: Eyes, resolver: None) -> None:
    names = [f"host-{at}.example.org" for at in range(100)]
    assert _sent(eyes, V4, UDP, "127.0.0.53", *map(_question, names)) == names


def test_a_name_asked_over_ipv6_is_told(eyes: Eyes) -> None:
    assert _sent(eyes, V6, UDP, "::1", _question("v6.example.org")) == ["v6.example.org"]
    mapped = _sent(eyes, V6, UDP, "::ffff:127.0.0.53", _question("mapped.example.org"))
    assert mapped == ["mapped.example.org"]


def test_what_extends_a_question_is_no_part_of_its_name(eyes: Eyes) -> None:
    plain = bytearray(_question("edns.example.org"))
    plain[11] = 1  # one additional record: EDNS, RFC 6891
    options = b"\0" + struct.pack(">HHIH", 41, 1232, 0, 0)
    assert _sent(eyes, V4, UDP, "127.0.0.53", bytes(plain) + options) == ["edns.example.org"]


def test_a_question_sent_behind_its_length_is_told(eyes: Eyes, resolver: None) -> None:
    framed = [_framed("split.example.org"), _framed("again.example.org")]
    parts = [part for one in framed for part in (one[:2], one[2:])]
    assert _sent(eyes, V4, TCP, "127.0.0.53", *parts) == ["split.example.org", "again.example.org"]


def test_questions_of_one_segment_are_told_apart(eyes: Eyes, resolver: None) -> None:
    names = [f"piped-{at}.example.org" for at in range(4)]
    segment = b"".join(map(_framed, names))
    assert _sent(eyes, V4, TCP, "127.0.0.53", segment) == names


def test_what_it_answers_to_an_asker_on_port_53_is_not_its_question(eyes: Eyes) -> None:
    with eyes.python(SERVING) as gated, socket.socket(V4, socket.SOCK_DGRAM) as asker:
        asker.bind(("127.0.0.9", 53))
        gated.tell()
        asker.sendto(_question("not-mine.example.org"), ("127.0.0.1", int(gated.hear())))
        gated.end()
    assert eyes.seen(gated.number).items("name") == []
