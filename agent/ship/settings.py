"""What shipping is told by the configuration."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class ShipSettings:
    """Where to ship, as whom, and how much may wait. Without an endpoint nothing is kept for it."""

    host: str
    endpoints: tuple[str, ...]
    central_key: str
    outbox: Path
    outbox_bytes: int = 64 << 20
    heartbeat_s: float = 10.0
    ack_timeout_s: float = 5.0
