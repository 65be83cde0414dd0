"""What can go wrong at the border to the kernel."""

from __future__ import annotations


class ProbeError(Exception):
    """The kernel or libbpf refused something; says what, and in whose words."""

    def __init__(
        self, act: str, reason: str, *, number: int = 0, details: tuple[str, ...] = ()
    ) -> None:
        super().__init__(f"cannot {act}: {reason}")
        self.act = act
        self.reason = reason
        self.number = number  # errno, 0 where there is none
        self.details = details  # libbpf's last lines
