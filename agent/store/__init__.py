"""What happened on this host, on its disk: verdicts and a hash-chained event log in SQLite."""

from agent.store.errors import (
    AmbiguousVerdictError,
    NoStoreError,
    StoreUnreadableError,
    UnknownVerdictError,
)
from agent.store.levels import LEVELS, level_rank
from agent.store.plain import plain
from agent.store.store import Store

__all__ = [
    "LEVELS",
    "AmbiguousVerdictError",
    "NoStoreError",
    "Store",
    "StoreUnreadableError",
    "UnknownVerdictError",
    "level_rank",
    "plain",
]
