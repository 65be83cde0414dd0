"""The gate: who is on the list comes in, and a change of the list counts at once."""

from pathlib import Path

import pytest

from agent.central.gate import AllowList, answer
from agent.keys import KeyStore

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
RAW = b"k" * 32


def request(
    *, mechanism: bytes = b"CURVE", key: bytes = RAW, version: bytes = b"1.0"
) -> list[bytes]:
    return [version, b"7", b"inferward", b"127.0.0.1", b"", mechanism, key]


def encode(raw: bytes) -> bytes:
    return KEY.encode() if raw == RAW else b"0" * 40


def test_an_allowed_key_becomes_the_connections_user(tmp_path: Path) -> None:
    KeyStore(tmp_path).allow("h1", KEY)
    reply, refused = answer(request(), AllowList(tmp_path), encode)
    assert (reply[1], reply[2], reply[4].decode(), refused) == (b"7", b"200", KEY, "")


@pytest.mark.parametrize(
    "asked",
    [
        request(key=b"x" * 32),
        request(key=b"short"),
        request(mechanism=b"NULL"),
        request(mechanism=b"PLAIN"),
        request(version=b"2.0"),
        [b"1.0"],
        [b"1.0", b"7", b"d", b"a", b"", b"CURVE"],
    ],
)
def test_everything_else_is_turned_away(tmp_path: Path, asked: list[bytes]) -> None:
    KeyStore(tmp_path).allow("h1", KEY)
    reply, refused = answer(asked, AllowList(tmp_path), encode)
    assert (reply[2], reply[4]) == (b"400", b"")
    assert refused


def test_the_list_is_read_again_when_it_changes(tmp_path: Path) -> None:
    keys, allowed = KeyStore(tmp_path), AllowList(tmp_path)
    assert allowed.name_of(KEY) is None
    keys.allow("h1", KEY)
    assert allowed.name_of(KEY) == "h1"
    keys.revoke("h1")
    assert allowed.name_of(KEY) is None
