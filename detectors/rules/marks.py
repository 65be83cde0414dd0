"""Classes told by what the kernel noted beside the name."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import CAPABILITY, EXEC, FILE, LIBRARY, SYSCALL, MarkRule
from detectors.window import ItemKind

RULES: Final = (
    MarkRule(
        "socket-program",
        EXEC,
        "stdio-socket",
        Level.CRITICAL,
        "a program whose input or output is a network connection, as of a remote shell",
        ("T1059.004", "T1071", "AML.T0072"),
    ),
    MarkRule(
        "memory-program",
        EXEC,
        "memfd",
        Level.CRITICAL,
        "a program that exists in memory only",
        ("T1620", "AML.T0050"),
        invariant=True,
    ),
    MarkRule(
        "deleted-program",
        EXEC,
        "deleted",
        Level.CRITICAL,
        "a program whose file was deleted",
        ("T1070.004", "T1036"),
    ),
    MarkRule(
        "preloaded-program",
        EXEC,
        "ld-preload",
        Level.HIGH,
        "a program into which its environment loads other code",
        ("T1574.006",),
    ),
    MarkRule(
        "audited-program",
        EXEC,
        "ld-audit",
        Level.HIGH,
        "a program whose every library call its environment hands to other code",
        ("T1574.006",),
    ),
    MarkRule(
        "memory-library",
        LIBRARY,
        "memfd",
        Level.HIGH,
        "machine code that exists in memory only",
        ("T1620", "T1055"),
    ),
    MarkRule(
        "patched-library",
        LIBRARY,
        "patched",
        Level.HIGH,
        "machine code of a file, changed in memory",
        ("T1055", "T1574"),
    ),
    MarkRule(
        "deleted-library",
        LIBRARY,
        "deleted",
        Level.HIGH,
        "machine code whose file was deleted",
        ("T1070.004", "T1574.006"),
    ),
    MarkRule(
        "kernel-name",
        EXEC | SYSCALL,
        "kernel-name",
        Level.HIGH,
        "the name of a thread of the kernel, under which programs hide",
        ("T1036.004", "AML.T0074"),
        invariant=True,
    ),
    MarkRule(
        "daemon-name",
        SYSCALL,
        "daemon-name",
        Level.HIGH,
        "the name of a system service that it is not",
        ("T1036.005", "AML.T0074"),
    ),
    MarkRule(
        "rights-gained",
        CAPABILITY,
        "gained",
        Level.HIGH,
        "more rights than it had",
        ("T1548", "AML.T0050"),
    ),
    MarkRule(
        "rights-uncaused",
        CAPABILITY,
        "uncaused",
        Level.CRITICAL,
        "rights that no call gave it, as after an exploit of the kernel",
        ("T1068",),
        invariant=True,
    ),
    MarkRule(
        "segment-of-another",
        FILE,
        "other-owner",
        Level.HIGH,
        "shared memory that another user's process made",
        ("T1559", "AML.T0049"),
    ),
    MarkRule(
        "executable-segment",
        FILE,
        "executable",
        Level.HIGH,
        "shared memory that others write, mapped as machine code",
        ("T1055", "T1620"),
    ),
    MarkRule(
        "foreign-call",
        frozenset(ItemKind),
        "foreign",
        Level.HIGH,
        "a call through the 32-bit entry, which hides its number",
        ("T1562",),
    ),
)
