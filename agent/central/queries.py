"""The questions central's store is asked, with `{name:Type}` where a value goes."""

from typing import Final

LATEST_HOSTS: Final = """
SELECT host, argMax(public_key, received_ns) AS public_key,
    argMax(address, received_ns) AS address, argMax(epoch, received_ns) AS epoch,
    argMax(sequence, received_ns) AS sequence,
    argMax(dropped, received_ns) AS dropped, max(received_ns) AS last_heard_ns
FROM inferward.hosts GROUP BY host ORDER BY host
"""
LEVELS_BY_HOST: Final = """
SELECT host, level, count() AS verdicts FROM inferward.verdicts FINAL GROUP BY host, level
"""
GAPS_BY_HOST: Final = """
SELECT host, reason, sum(last - first + 1) AS missing FROM inferward.gaps FINAL
GROUP BY host, reason
"""
SUMMARY_BY_HOST: Final = """
SELECT host, argMax(summary, received_ns) AS summary FROM inferward.heartbeats GROUP BY host
"""
MARKS: Final = """
SELECT host, epoch, max(sequence) AS sequence FROM (
    SELECT host, epoch, sequence FROM inferward.verdicts
    UNION ALL SELECT host, epoch, sequence FROM inferward.hosts
) GROUP BY host, epoch
"""
VERDICTS: Final = """
SELECT document, received_ns FROM inferward.verdicts FINAL
WHERE time_ns >= {since:Int64} AND toInt8(level) >= {level:Int8}
    AND ({host:String} = '' OR host = {host:String})
    AND ({workload:String} = '' OR workload = {workload:String})
    AND startsWith(id, {id:String})
ORDER BY time_ns DESC, id DESC LIMIT {limit:UInt32}
"""
KNOWN: Final = """
SELECT id FROM inferward.verdicts
WHERE host = {host:String} AND id IN {ids:Array(String)}
"""


VERSION: Final = """
SELECT max(version) AS version FROM inferward.schema_versions
"""
COLUMNS: Final = """
SELECT name, type FROM system.columns
WHERE database = 'inferward' AND table = {table:String} ORDER BY position
"""

MADE_AS: Final = """
SELECT create_table_query AS made FROM system.tables
WHERE database = 'inferward' AND name = {table:String}
"""
