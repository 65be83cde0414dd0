"""The Huffman code of HTTP/2's strings (RFC 7541, appendix B), as a table by half bytes.

The code is canonical: the lengths alone give it, by length and then by letter.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

_LENGTHS: Final = bytes.fromhex(
    "0d171c1c1c1c1c1c1c181e1c1c1e1c1c1c1c1c1c1c1c1e1c1c1c1c1c1c1c1c1c"
    "060a0a0c0d06080b0a0a080b080606060505050606060606060607080f060c0a"
    "0d06070707070707070707070707070707070707070707070807080d130d0e06"
    "0f05060506050606060507070606060506070605050607070707070f0b0e0d1c"
    "1416141416161617161717171717181718181617181717171715161716171718"
    "1615141616171715171616181516171715151615171617171416161617161617"
    "1a1a1413161716191a1a1a1b1b1a181913151a1b1b1a1b1815151a1a1c1b1b1b"
    "14181415161515171616191918181a171a1b1a1a1b1b1b1b1b1c1b1b1b1b1b1a"
    "1e"
)
"""Bits of each letter's code, and of the end's."""

_END: Final = 256
_LETTER: Final = 0x10000
_MAY_END: Final = 0x20000
_WRONG: Final = 0x40000
"""As HUFFMAN_ in probes/fields.bpf.c."""

_PADDING_BITS: Final = 7


def codes() -> list[tuple[int, int]]:
    """Bits and their number, of each letter and then of the end."""
    found = [(0, 0)] * len(_LENGTHS)
    code, before = 0, 0
    for bits, letter in sorted((bits, letter) for letter, bits in enumerate(_LENGTHS)):
        code <<= bits - before
        found[letter] = (code, bits)
        code, before = code + 1, bits
    return found


def table() -> NDArray[np.uint32]:
    """Shape (256 * 16,): what half a byte leads to from each inner node of the tree.

    The lowest byte is the node that follows, the next one a letter, if `_LETTER` says so: half a
    byte ends at most one, since the shortest code has five bits. A string may end where the bits
    since its last letter are less than a byte, and all ones (5.2).
    """
    tree, padding = _tree()
    found = np.zeros((len(tree), 16), np.uint32)
    for node in range(len(tree)):
        for half in range(16):
            found[node, half] = _step(tree, padding, node, half)
    return found.ravel()


def _tree() -> tuple[list[list[int]], set[int]]:
    """The two ways from each inner node: another one, or ~letter; and where a string may end."""
    tree = [[0, 0]]
    for letter, (code, bits) in enumerate(codes()):
        at = 0
        for shift in range(bits - 1, 0, -1):
            way = code >> shift & 1
            if not tree[at][way]:
                tree.append([0, 0])
                tree[at][way] = len(tree) - 1
            at = tree[at][way]
        tree[at][code & 1] = ~letter
    padding, at = {0}, 0
    for _ in range(_PADDING_BITS):
        at = tree[at][1]
        padding.add(at)
    return tree, padding


def _step(tree: list[list[int]], padding: set[int], node: int, half: int) -> int:
    letter = None
    for shift in (3, 2, 1, 0):
        node = tree[node][half >> shift & 1]
        if node < 0:
            letter, node = ~node, 0
            if letter == _END:
                return _WRONG
    told = 0 if letter is None else _LETTER | letter << 8
    return told | node | (_MAY_END if node in padding else 0)
