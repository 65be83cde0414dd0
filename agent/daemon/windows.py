"""One window of one workload from what the sources read: counters, 7-grams, memory, items."""

from collections.abc import Mapping, Sequence
from dataclasses import astuple
from typing import Final

import numpy as np

from agent.daemon.asked import Asked
from agent.daemon.flows import Flows
from agent.daemon.membership import Membership
from agent.daemon.registry import Found
from collectors.counters import Counts
from detectors.window import Grams, Item, Phase, Upload, Window

_NS: Final = 1_000_000_000
_RATES: Final = {
    "COUNT_SYSCALLS": "syscalls",
    "COUNT_FAILED_CALLS": "failed_calls",
    "COUNT_FORKS": "forks",
    "COUNT_EXECS": "execs",
    "COUNT_EXITS": "exits",
    "COUNT_CRASHES": "crashes",
    "COUNT_OPENS": "opens",
    "COUNT_CHANGES": "changes",
    "COUNT_CONNECTS": "connects",
    "COUNT_ACCEPTS": "accepts",
    "COUNT_READ_BYTES": "read_bytes",
    "COUNT_WRITE_BYTES": "write_bytes",
    "COUNT_SENT_ACCEPTED": "bytes_out",
    "COUNT_SENT_INITIATED": "bytes_out_initiated",
    "COUNT_RECEIVED": "bytes_in",
    "COUNT_CORE_DUMPS": "core_dumps",
    "COUNT_OOM_KILLS": "oom_kills",
    "COUNT_REFUSED": "refused",
    "COUNT_LISTINGS": "listings",
}
_FILE_RATES: Final = {
    ("FILE_WEIGHTS", "FILE_READ"): "read_weights_bytes",
    ("FILE_WEIGHTS", "FILE_MAPPED"): "mapped_weights_bytes",
    ("FILE_CODE", "FILE_READ"): "read_code_bytes",
    ("FILE_SECRET", "FILE_READ"): "read_secret_bytes",
    ("FILE_OTHER", "FILE_READ"): "read_data_bytes",
    ("FILE_WEIGHTS", "FILE_WRITTEN"): "written_weights_bytes",
    ("FILE_CODE", "FILE_WRITTEN"): "written_code_bytes",
    ("FILE_LOG", "FILE_WRITTEN"): "written_log_bytes",
    ("FILE_TEMP", "FILE_WRITTEN"): "written_temp_bytes",
    ("FILE_OTHER", "FILE_WRITTEN"): "written_data_bytes",
}


class Windows:
    """Builds windows by the names of the schema's counters."""

    def __init__(self, membership: Membership) -> None:
        """Look the counters up once."""
        schema = membership.sensor.schema
        self._membership = membership
        self._flows, self._asked = Flows.of(schema), Asked(schema)
        self._counters = {n: i for n, i in schema.enum("counter").items() if n in _RATES}
        classes, directions = schema.enum("file_class"), schema.enum("file_direction")
        self._file_rates = {
            name: classes[of] * directions["FILE_DIRECTION_MAX"] + directions[how]
            for (of, how), name in _FILE_RATES.items()
        }
        self._summarised = schema.enum("counter")["COUNT_SUMMARISED"]
        self._reasons = {
            name.removeprefix("LOSS_").lower(): i
            for name, i in schema.enum("loss_reason").items()
            if name != "LOSS_MAX"
        }

    def losses(self, counts: Counts, number: int) -> dict[str, int]:
        """What is missing, by reason; the workload's own, without reasons that did not occur."""
        named = counts.named(counts.losses, self._reasons, number)
        return {reason: count for reason, count in named.items() if count}

    def build(
        self,
        found: Found,
        counts: Counts,
        span_ns: tuple[int, int],
        readings: Mapping[str, float],
        items: Sequence[Item],
    ) -> Window:
        """Join the sources; what was not read stays absent. The phase is told from it later."""
        start_ns, end_ns = span_ns
        length_s = (end_ns - start_ns) / _NS
        totals = counts.named(counts.totals, self._counters, found.id)
        features = {_RATES[name]: count / length_s for name, count in totals.items()}
        features |= self._flows.readings(counts, found.id, length_s)
        features |= self._asked.readings(counts, found.id, length_s)
        moved = counts.file_bytes[found.id]
        features |= {name: int(moved[at]) / length_s for name, at in self._file_rates.items()}
        features["new_directories"] = float(sum("listed" in item.marks for item in items))
        mine = counts.grams[counts.grams["workload"] == found.id]
        features["distinct_grams"] = float(len(mine))
        return Window(
            workload=found.name,
            start_ns=start_ns,
            length_s=length_s,
            phase=Phase.STEADY,
            lost=sum(self.losses(counts, found.id).values()),
            features=features | dict(readings),
            grams=tuple(self._grams(mine, role) for role in np.unique(mine["role"])),
            items=tuple(items),
            uploads=tuple(Upload(*astuple(one)) for one in counts.uploads.get(found.id, ())),
            traffic=self._asked.traffic(counts, found.id, length_s),
            summarised=int(counts.totals[found.id, self._summarised]),
        )

    def _grams(self, mine: "np.ndarray[tuple[int], np.dtype[np.void]]", role: int) -> Grams:
        chosen = mine[mine["role"] == role]
        name = self._membership.role_of(int(role))
        return Grams(name, chosen["word"].copy(), chosen["count"].copy())
