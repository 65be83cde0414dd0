"""Approved models are kept as they are, where the kernel denies and publishers were named."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from agent.log import log
from agent.models.approvals import Approval
from probes.errors import ProbeError
from probes.loader import Sensor
from probes.protect import FILE, PLACE, Number, Protection, Refusal

_GUARD: Final = "guard"


class Protecting:
    """Tells the kernel what to keep, and asks it what it denied.

    Attributes:
        kept: Files and places that are protected now.
        left: Those that found no room.
        denied: Changes that were refused since the daemon began.
    """

    def __init__(self, protection: Protection | None) -> None:
        """What an earlier daemon listed stays until `keep`; None: this kernel denies nothing."""
        self.kept = self.left = self.denied = 0
        self._protection = protection
        self._wanted: tuple[dict[Number, str], tuple[str, ...]] | None = None

    @classmethod
    def of(cls, sensor: Sensor) -> Protecting:
        """Look whether this kernel denies."""
        return cls(Protection(sensor) if sensor.tier == _GUARD else None)

    def keep(self, approvals: Iterable[Approval], publishers: tuple[str, ...]) -> None:
        """Protect what is approved, if anybody may change it; nothing otherwise."""
        if self._protection is None:
            return
        wanted: dict[Number, str] = {}
        for approval in approvals if publishers else ():
            files, places = approval.numbers()
            wanted |= dict.fromkeys(places, PLACE) | dict.fromkeys(files, FILE)
        if (wanted, publishers) == self._wanted:
            return
        try:
            self.left = self._protection.keep(wanted, publishers)
        except ProbeError as error:
            log.once("models.not_protected", why=error)
            return
        self.kept = len(wanted) - self.left
        self._wanted = wanted, publishers

    def refused(self) -> list[Refusal]:
        """What was denied since the last call."""
        if self._protection is None or not self.kept:
            return []
        found = self._protection.refused()
        self.denied += sum(one.count for one in found)
        return found


def words(refusal: Refusal) -> str:
    """Who it was, as far as it still lives."""
    try:
        exe = str(Path(f"/proc/{refusal.pid}/exe").readlink())
    except OSError:
        exe = refusal.comm
    times = f", {refusal.count} times" if refusal.count > 1 else ""
    return f"by {exe} (process {refusal.pid}){times}"
