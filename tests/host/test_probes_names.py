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
    """Takes what is asked and says nothing; datagrams need nobody to take them."""
    with socket.create_server(("127.0.0.53", 53), backlog=16):
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
