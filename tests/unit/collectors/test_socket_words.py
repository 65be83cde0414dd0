"""Kinds of sockets in words; what has no name keeps its number."""

import pytest

from collectors.socket_words import socket_words


@pytest.mark.parametrize(
    ("family", "kind", "protocol", "words"),
    [
        (16, 3, 0, "socket netlink route"),
        (16, 2, 12, "socket netlink netfilter"),
        (16, 3, 31, "socket netlink protocol-31"),
        (17, 3, 768, "socket packet raw"),
        (2, 3, 1, "socket inet raw icmp"),
        (10, 3, 255, "socket inet6 raw any"),
        (2, 1, 262, "socket inet stream mptcp"),
        (2, 5, 132, "socket inet seqpacket sctp"),
        (40, 1, 0, "socket vsock stream"),
        (99, 9, 7, "socket family-99 type-9"),
    ],
)
def test_a_kind_of_socket_is_named(family: int, kind: int, protocol: int, words: str) -> None:
    assert socket_words(family, kind, protocol) == words
