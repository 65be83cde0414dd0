"""The wire: what was packed comes back, and whatever else comes is refused and nothing more."""

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.ship.wire import (
    MESSAGE_BYTES,
    PeerError,
    fits,
    pack,
    pack_verdict,
    short_text,
    unpack,
    whole_number,
)

DEEP: object = None
for _ in range(20):
    DEEP = [DEEP]


def test_a_message_comes_back_as_it_was_packed() -> None:
    message = unpack(pack("ack", epoch="e", sequence=5, refused=0))
    assert message == {"v": 1, "kind": "ack", "epoch": "e", "sequence": 5, "refused": 0}


@given(st.binary(max_size=300))
def test_any_bytes_are_a_message_or_a_peer_error(noise: bytes) -> None:
    try:
        unpack(noise)
    except PeerError:
        return


@pytest.mark.parametrize(
    "message",
    [
        b"",
        b"\xc1",
        b"\xdf\xff\xff\xff\xff",
        b"\x91" * 5_000,
        bytes(MESSAGE_BYTES + 1),
        pack("x", body=b"bytes"),
        pack("x", body=DEEP),
        pack("x", body="y" * 70_000),
        pack("x", body=[0] * 5_000),
        pack("x", body=msgpack.ExtType(5, b"x")),
        pack("x", body=msgpack.Timestamp(5)),
        msgpack.packb([1, 2]),
        msgpack.packb({"kind": "x"}),
        msgpack.packb({"v": 2, "kind": "x"}),
        msgpack.packb({"v": 1, "kind": 5}),
        msgpack.packb({1: 2}),
        b"\x81\xa1\xff\x01",
    ],
)
def test_what_is_no_message_of_ours_is_refused(message: bytes) -> None:
    with pytest.raises(PeerError):
        unpack(message)


@pytest.mark.parametrize("value", [-1, 1 << 63, True, 1.0, "1", None])
def test_only_a_whole_number_counts_as_one(value: object) -> None:
    with pytest.raises(PeerError):
        whole_number({"n": value}, "n")


@pytest.mark.parametrize("value", ["", "x" * 254, 5, None])
def test_only_short_text_counts_as_such(value: object) -> None:
    with pytest.raises(PeerError):
        short_text({"t": value}, "t")


def test_a_verdict_that_central_could_not_take_is_known_before_it_is_sent() -> None:
    assert fits(pack_verdict({"process": {"ancestry": [{"pid": 1}]}}))
    assert not fits(pack_verdict({"cmdline": "x" * 70_000}))
    assert not fits(pack_verdict({"deep": DEEP}))
    assert not fits(pack_verdict({str(n): "x" * 60_000 for n in range(5)}))
