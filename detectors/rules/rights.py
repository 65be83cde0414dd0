"""What reaches beyond a workload without a file or a peer: namespaces, and others' processes."""

from __future__ import annotations

from typing import Final

from detectors.assessment import Level
from detectors.rules.rule import CAPABILITY, SYSCALL, Rule

RULES: Final = (
    Rule(
        "namespace-entered",
        CAPABILITY,
        "^namespace ",
        Level.CRITICAL,
        "other namespaces than it was started in: servers never enter any",
        ("T1611", "AML.T0105"),
    ),
    Rule(
        "neighbour-ended",
        SYSCALL,
        (
            r"^kill SIG(?:HUP|INT|QUIT|ILL|TRAP|ABRT|BUS|FPE|KILL|SEGV|TERM|STOP|TSTP|SYS)"
            r" -> (?!its parent )"
        ),
        Level.HIGH,
        "a signal that ends or stops a process which is not its own",
        ("T1489", "T1562.001"),
    ),
)
