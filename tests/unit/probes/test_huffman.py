"""The table by half bytes reads what RFC 7541's own examples say."""

import numpy as np
import pytest

from probes import huffman

LETTER, MAY_END, WRONG = 0x10000, 0x20000, 0x40000


def read(text: bytes) -> bytes | None:
    """As the kernel does, half a byte at a time; None for what is no string."""
    table, row, found = huffman.table(), 0, bytearray()
    step = MAY_END
    for half in np.frombuffer(text, np.uint8).repeat(2).reshape(-1, 2) >> (4, 0):
        for part in half & 15:
            step = int(table[row * 16 + int(part)])
            row = step & 0xFF
            if step & WRONG:
                return None
            if step & LETTER:
                found.append(step >> 8 & 0xFF)
    return bytes(found) if step & MAY_END else None


@pytest.mark.parametrize(
    ("coded", "text"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", "www.example.com"),  # C.4.1
        ("a8eb10649cbf", "no-cache"),  # C.4.2
        ("25a849e95ba97d7f", "custom-key"),  # C.4.3
        ("25a849e95bb8e8b4bf", "custom-value"),
        ("d07abe941054d444a8200595040b8166e082a62d1bff", "Mon, 21 Oct 2013 20:13:21 GMT"),  # C.6.1
        ("9d29ad171863c78f0b97c8e9ae82ae43d3", "https://www.example.com"),
        ("", ""),
    ],
)
def test_examples_of_the_standard_are_read(coded: str, text: str) -> None:
    assert read(bytes.fromhex(coded)) == text.encode()


def test_every_letter_is_read_from_its_code() -> None:
    for letter, (code, bits) in enumerate(huffman.codes()[:256]):
        pad = -bits % 8
        raw = (code << pad | (1 << pad) - 1).to_bytes((bits + pad) // 8)
        assert read(raw) == bytes([letter])


@pytest.mark.parametrize(
    "coded",
    ["18", "1fff", "ffffffff"],
    ids=["padded with zeros", "padded with a byte", "the end itself"],
)
def test_an_end_that_is_none_is_refused(coded: str) -> None:
    assert read(bytes.fromhex(coded)) is None
