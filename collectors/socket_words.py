"""A socket that is neither IP's nor AF_UNIX's ordinary one, in words: `socket netlink route`."""

from typing import Final

_FAMILIES: Final = {  # include/linux/socket.h
    2: "inet", 10: "inet6", 15: "key", 16: "netlink", 17: "packet", 21: "rds", 29: "can",
    30: "tipc", 31: "bluetooth", 38: "alg", 40: "vsock", 43: "smc", 44: "xdp",
}  # fmt: skip
_TYPES: Final = {1: "stream", 2: "dgram", 3: "raw", 4: "rdm", 5: "seqpacket", 10: "packet"}
_NETLINKS: Final = {  # include/uapi/linux/netlink.h
    0: "route", 2: "usersock", 4: "sock-diag", 5: "nflog", 6: "xfrm", 7: "selinux", 8: "iscsi",
    9: "audit", 10: "fib-lookup", 11: "connector", 12: "netfilter", 15: "kobject-uevent",
    16: "generic", 18: "scsi", 20: "rdma", 21: "crypto",
}  # fmt: skip
_PROTOCOLS: Final = {
    0: "", 1: "icmp", 6: "tcp", 17: "udp", 58: "icmp6", 132: "sctp", 136: "udplite", 255: "any",
    262: "mptcp",
}  # fmt: skip
_NETLINK: Final = 16
_IP: Final = (2, 10)


def socket_words(family: int, kind: int, protocol: int) -> str:
    """Its family, type and protocol as far as they tell kinds of sockets apart.

    Args:
        family: As given to socket(2).
        kind: Its type without flags.
        protocol: A netlink family, or IP's next protocol.
    """
    name = _FAMILIES.get(family, f"family-{family}")
    if family == _NETLINK:
        return f"socket {name} {_NETLINKS.get(protocol, f'protocol-{protocol}')}"
    words = ["socket", name, _TYPES.get(kind, f"type-{kind}")]
    if family in _IP:
        words.append(_PROTOCOLS.get(protocol, f"protocol-{protocol}"))
    return " ".join(word for word in words if word)
