"""Central's tables, as numbered steps: SQL that chDB and a ClickHouse server both take.

A step that was released is never changed; a new one is added behind it. On a
cluster the engines gain `Replicated` and the statements `ON CLUSTER`, no more.
"""

from typing import Final

DATABASE: Final = "inferward"

VERSIONS: Final = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.schema_versions (
    version UInt32,
    applied_ns Int64
) ENGINE = MergeTree ORDER BY version
"""

# Partitions go by the time of receipt: a host's own clock may say anything, and one message must
# not open a thousand partitions. Where two rows share a key the earliest received wins, so no host
# can rewrite what it once told. fsync: an acknowledged verdict survives a power cut.
_VERDICTS: Final = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.verdicts (
    host LowCardinality(String),
    id String,
    epoch LowCardinality(String),
    sequence UInt64,
    time_ns Int64,
    received_ns Int64,
    workload LowCardinality(String),
    engine LowCardinality(String),
    level Enum8('info' = 0, 'low' = 1, 'medium' = 2, 'high' = 3, 'critical' = 4),
    score Nullable(Float64),
    p_value Nullable(Float64),
    techniques Array(LowCardinality(String)),
    summary String,
    document String CODEC(ZSTD(3)),
    precedence UInt64 DEFAULT 9223372036854775807 - toUInt64(received_ns)
) ENGINE = ReplacingMergeTree(precedence)
PARTITION BY toYYYYMM(toDateTime(intDiv(received_ns, 1000000000), 'UTC'))
ORDER BY (host, id)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

_HOSTS: Final = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.hosts (
    host LowCardinality(String),
    epoch String,
    sequence UInt64,
    received_ns Int64,
    public_key String,
    address String,
    dropped String
) ENGINE = ReplacingMergeTree(received_ns)
ORDER BY (host, epoch)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

_HEARTBEATS: Final = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.heartbeats (
    host LowCardinality(String),
    received_ns Int64,
    summary String CODEC(ZSTD(3))
) ENGINE = MergeTree
ORDER BY (host, received_ns)
TTL toDateTime(intDiv(received_ns, 1000000000), 'UTC') + INTERVAL 30 DAY
"""

_GAPS: Final = f"""
CREATE TABLE IF NOT EXISTS {DATABASE}.gaps (
    host LowCardinality(String),
    epoch String,
    first UInt64,
    last UInt64,
    reason LowCardinality(String),
    received_ns Int64
) ENGINE = ReplacingMergeTree(received_ns)
ORDER BY (host, epoch, first)
SETTINGS fsync_after_insert = 1, fsync_part_directory = 1
"""

STEPS: Final = ((_VERDICTS, _HOSTS, _HEARTBEATS, _GAPS),)
"""Statements of version 1, 2, …; each is safe to repeat after a stop halfway."""


def lifetime(table: str, keep_days: int) -> str:
    """Return the statement that lets rows of `table` go `keep_days` days after receipt."""
    age = "toDateTime(intDiv(received_ns, 1000000000), 'UTC')"
    return f"ALTER TABLE {DATABASE}.{table} MODIFY TTL {age} + toIntervalDay({int(keep_days)})"
