"""Rights of a process in words: user, group, capabilities, namespaces."""

from typing import Final

import numpy as np

CAPABILITIES: Final = [
    "CHOWN",
    "DAC_OVERRIDE",
    "DAC_READ_SEARCH",
    "FOWNER",
    "FSETID",
    "KILL",
    "SETGID",
    "SETUID",
    "SETPCAP",
    "LINUX_IMMUTABLE",
    "NET_BIND_SERVICE",
    "NET_BROADCAST",
    "NET_ADMIN",
    "NET_RAW",
    "IPC_LOCK",
    "IPC_OWNER",
    "SYS_MODULE",
    "SYS_RAWIO",
    "SYS_CHROOT",
    "SYS_PTRACE",
    "SYS_PACCT",
    "SYS_ADMIN",
    "SYS_BOOT",
    "SYS_NICE",
    "SYS_RESOURCE",
    "SYS_TIME",
    "SYS_TTY_CONFIG",
    "MKNOD",
    "LEASE",
    "AUDIT_WRITE",
    "AUDIT_CONTROL",
    "SETFCAP",
    "MAC_OVERRIDE",
    "MAC_ADMIN",
    "SYSLOG",
    "WAKE_ALARM",
    "BLOCK_SUSPEND",
    "AUDIT_READ",
    "PERFMON",
    "BPF",
    "CHECKPOINT_RESTORE",
]
"""By number, as the kernel's include/uapi/linux/capability.h."""

_ALL: Final = (1 << len(CAPABILITIES)) - 1
_MANY: Final = 30
"""As many at once are told as `all`: root's, less what a container's runtime keeps back."""


def capabilities(mask: int) -> list[str]:
    """Names of a set, without those of a kernel newer than the list."""
    return [f"CAP_{name}" for bit, name in enumerate(CAPABILITIES) if mask >> bit & 1]


def namespaces(mask: int, names: dict[str, int]) -> list[str]:
    """Kinds of namespaces; `names` is `enum namespace_kind`."""
    return [name.removeprefix("NAMESPACE_").lower() for name, bit in names.items() if mask & bit]


def change(record: np.void) -> str:
    """What differs, as `uid 1000 -> 0, capabilities +CAP_NET_RAW -CAP_CHOWN`."""
    parts = [
        f"{name} {int(record[f'{field}_before'])} -> {int(record[field])}"
        for name, field in (("uid", "euid"), ("gid", "egid"))
        if record[f"{field}_before"] != record[field]
    ]
    gained, lost = _difference(record)
    told = [*_signed("+", gained), *_signed("-", lost)]
    if told:
        parts.append("capabilities " + " ".join(told))
    return ", ".join(parts)


def marks(record: np.void) -> frozenset[str]:
    """`gained` for more than before, `dropped` for nothing but less."""
    gained, lost = _difference(record)
    before, now = int(record["euid_before"]), int(record["euid"])
    if gained or (before and not now):
        return frozenset({"gained"})
    return frozenset({"dropped"} if lost or (not before and now) else ())


def _difference(record: np.void) -> tuple[int, int]:
    before, now = int(record["capabilities_before"]), int(record["capabilities"])
    return now & ~before, before & ~now


def _signed(sign: str, mask: int) -> list[str]:
    named = capabilities(mask & _ALL)
    if len(named) >= _MANY:
        return [f"{sign}all"]
    return [f"{sign}{name}" for name in named]
