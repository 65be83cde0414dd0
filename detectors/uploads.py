"""How much a workload may send on connections that it opened itself, and to whom it went."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from detectors.assessment import FeatureShare
from detectors.window import Upload

UPLOAD_FACTOR: Final = 4.0
UPLOAD_FLOOR: Final = 1 << 20
"""Bytes per second on its own connections beyond the learnt high: a 16 GB model leaves within
hours at this rate, and telemetry stays below it."""


def exceed(shares: Sequence[FeatureShare], high: float = 0.0) -> bool:
    """Tell whether more is sent on its own connections than the learnt budget allows.

    Args:
        shares: Of one window.
        high: Learnt for its phase, bytes per second; below the steady state's it says nothing.
    """
    return any(
        share.name == "bytes_out_initiated" and share.value > _limit(max(high, share.learned_high))
        for share in shares
    )


def _limit(high: float) -> float:
    return max(UPLOAD_FACTOR * high, high + UPLOAD_FLOOR)


def with_peers(sentence: str, sent: Sequence[Upload]) -> str:
    """Return a sentence about an upload with where most of it went.

    Args:
        sentence: What is wrong.
        sent: The peers that took most, at least one, most first.
    """
    most = sent[0]
    rest = f" and more to {len(sent) - 1} others" if len(sent) > 1 else ""
    return (
        f"{sentence} It sent {most.sent_bytes:,} bytes to {most.peer}"
        f" ({most.total_bytes:,} so far){rest}."
    )
