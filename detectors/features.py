"""The named readings of a window: unit and meaning of each column."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from detectors.errors import FeatureError


@dataclass(frozen=True, slots=True)
class Feature:
    """One column.

    Attributes:
        name: Key in `Window.features`.
        unit: Of the value.
        meaning: One plain phrase.
        follows_load: Whether more requests alone make it larger.
        judged: Whether it takes part in the score. What a neighbour on the host can raise is told
            with a window and does not: it would be an alarm about somebody else.
    """

    name: str
    unit: str
    meaning: str
    follows_load: bool
    judged: bool = True


FEATURES: Final[tuple[Feature, ...]] = (
    Feature("syscalls", "1/s", "system calls", follows_load=True),
    Feature("failed_calls", "1/s", "system calls that returned an error", follows_load=True),
    Feature("forks", "1/s", "processes and threads started", follows_load=False),
    Feature("execs", "1/s", "programs started", follows_load=False),
    Feature("exits", "1/s", "processes ended", follows_load=False),
    Feature("crashes", "1/s", "processes ended by a fatal signal", follows_load=False),
    Feature("opens", "1/s", "files opened", follows_load=True),
    Feature("changes", "1/s", "names and attributes of files changed", follows_load=True),
    Feature("connects", "1/s", "connections opened", follows_load=False),
    Feature("accepts", "1/s", "connections accepted", follows_load=True),
    Feature("read_bytes", "B/s", "bytes read from files and sockets", follows_load=True),
    Feature("write_bytes", "B/s", "bytes written to files and sockets", follows_load=True),
    Feature("bytes_out", "B/s", "bytes sent on accepted connections", follows_load=True),
    Feature("bytes_out_initiated", "B/s", "bytes sent on its own connections", follows_load=False),
    Feature("bytes_in", "B/s", "bytes received", follows_load=True),
    Feature(
        "bytes_out_accepted_public",
        "B/s",
        "bytes sent to public addresses on accepted connections",
        follows_load=True,
    ),
    Feature(
        "bytes_out_initiated_public",
        "B/s",
        "bytes sent to public addresses on its own connections",
        follows_load=False,
    ),
    Feature(
        "bytes_out_initiated_private",
        "B/s",
        "bytes sent to addresses of its own network on its own connections",
        follows_load=False,
    ),
    Feature(
        "bytes_in_initiated_public",
        "B/s",
        "bytes received from public addresses on its own connections",
        follows_load=False,
    ),
    Feature(
        "bytes_in_initiated_private",
        "B/s",
        "bytes received from addresses of its own network on its own connections",
        follows_load=False,
    ),
    Feature("accepts_public", "1/s", "callers from public addresses", follows_load=True),
    Feature("connects_public", "1/s", "connections to public addresses", follows_load=False),
    Feature(
        "connects_private", "1/s", "connections to addresses of its own network", follows_load=False
    ),
    Feature("refused", "1/s", "connections nobody answered", follows_load=False),
    Feature("requests", "1/s", "requests", follows_load=True, judged=False),
    Feature(
        "request_errors", "1/s", "requests answered with 5xx", follows_load=False, judged=False
    ),
    Feature(
        "request_refusals", "1/s", "requests answered with 4xx", follows_load=False, judged=False
    ),
    Feature(
        "requests_unanswered",
        "1/s",
        "requests whose connection ended before an answer",
        follows_load=False,
        judged=False,
    ),
    Feature("requests_under_way", "1", "requests under way", follows_load=True, judged=False),
    Feature("request_size", "B", "bytes of a request, mean", follows_load=False, judged=False),
    Feature("answer_size", "B", "bytes of an answer, mean", follows_load=False, judged=False),
    Feature(
        "answer_wait_p50",
        "ms",
        "time from a request to its answer's first byte, median",
        follows_load=True,
        judged=False,
    ),
    Feature(
        "answer_wait_p99",
        "ms",
        "time from a request to its answer's first byte, of the slowest hundredth",
        follows_load=True,
        judged=False,
    ),
    Feature(
        "answer_gap_p50",
        "ms",
        "time between the packets of a streamed answer, median",
        follows_load=True,
        judged=False,
    ),
    Feature("clients", "1", "addresses that asked", follows_load=True, judged=False),
    Feature(
        "client_requests", "1/s", "requests of the busiest address", follows_load=True, judged=False
    ),
    Feature(
        "client_inputs",
        "1",
        "different things that the busiest address asked for",
        follows_load=True,
        judged=False,
    ),
    Feature(
        "bytes_out_unasked",
        "B/s",
        "bytes sent on accepted connections without a request",
        follows_load=False,
        judged=False,
    ),
    Feature("tls_connections", "1/s", "TLS accepted, unread", follows_load=True, judged=False),
    Feature("distinct_grams", "1", "different sequences of seven calls", follows_load=True),
    Feature("threads", "1", "threads", follows_load=False),
    Feature("processes", "1", "processes", follows_load=False),
    Feature("rss_bytes", "B", "resident memory", follows_load=False),
    # Grows when a neighbour that shared the pages ends.
    Feature("pss_bytes", "B", "memory, shared pages divided", follows_load=False, judged=False),
    Feature("cpu_percent", "%", "processor time of one core", follows_load=True),
    Feature("major_faults", "1/s", "page faults that read from disk", follows_load=False),
    Feature("minor_faults", "1/s", "page faults without reading", follows_load=True),
    Feature("open_fds", "1", "open file descriptors", follows_load=True),
    Feature("listings", "1/s", "directories read", follows_load=True),
    Feature("new_directories", "1", "directories read for the first time", follows_load=False),
    Feature("read_weights_bytes", "B/s", "bytes read of model weights", follows_load=True),
    Feature("mapped_weights_bytes", "B/s", "bytes of model weights mapped", follows_load=False),
    Feature("read_code_bytes", "B/s", "bytes read of code", follows_load=True),
    Feature("read_secret_bytes", "B/s", "bytes read of secret files", follows_load=False),
    Feature("read_data_bytes", "B/s", "bytes read of other files", follows_load=True),
    Feature("written_weights_bytes", "B/s", "bytes written to weights", follows_load=False),
    Feature("written_code_bytes", "B/s", "bytes written to code", follows_load=False),
    Feature("written_log_bytes", "B/s", "bytes written to logs", follows_load=True),
    Feature("written_temp_bytes", "B/s", "bytes written to temporary files", follows_load=True),
    Feature("written_data_bytes", "B/s", "bytes written to other files", follows_load=True),
    Feature("gpu_memory_bytes", "B", "GPU memory", follows_load=False),
    Feature("gpu_percent", "%", "GPU utilisation", follows_load=True),
    Feature("gpu_calls", "1/s", "calls to a GPU's driver", follows_load=True),
    Feature("gpu_launches", "1/s", "kernels and graphs given to the GPU", follows_load=True),
    Feature("gpu_sent_bytes", "B/s", "bytes copied to the GPU", follows_load=True),
    Feature("gpu_fetched_bytes", "B/s", "bytes copied from the GPU", follows_load=True),
    Feature("gpu_copied_bytes", "B/s", "bytes copied between GPU and host", follows_load=True),
    Feature("gpu_modules", "1/s", "pieces of GPU code loaded", follows_load=False),
    Feature("gpu_contexts", "1/s", "GPU contexts made or taken", follows_load=False),
    Feature("gpu_held_bytes", "B", "GPU memory allocated and not freed", follows_load=False),
    Feature("core_dumps", "1/s", "core dumps left by processes", follows_load=False),
    Feature("oom_kills", "1/s", "processes ended for want of memory", follows_load=False),
    Feature("swap_bytes", "B", "memory that was moved to swap", follows_load=False, judged=False),
    Feature("huge_page_bytes", "B", "memory in huge pages", follows_load=False, judged=False),
    Feature(
        "cgroup_memory_bytes",
        "B",
        "memory of its own control group, cached files included",
        follows_load=False,
        judged=False,
    ),
    Feature(
        "cgroup_swap_bytes",
        "B",
        "memory of its own control group in swap",
        follows_load=False,
        judged=False,
    ),
    Feature(
        "cpu_pressure_some",
        "%",
        "time in which some task of its control group waited for a processor",
        follows_load=True,
        judged=False,
    ),
    Feature(
        "memory_pressure_some",
        "%",
        "time in which some task of its control group waited for memory",
        follows_load=False,
        judged=False,
    ),
    Feature(
        "io_pressure_some",
        "%",
        "time in which some task of its control group waited for a disk",
        follows_load=True,
        judged=False,
    ),
)

NAMES: Final[tuple[str, ...]] = tuple(feature.name for feature in FEATURES)

_COLUMNS: Final = {name: at for at, name in enumerate(NAMES)}


def vector(readings: Mapping[str, float]) -> NDArray[np.float64]:
    """Order readings as FEATURES.

    Returns:
        Shape (len(FEATURES),), float64; NaN where a feature was not read.

    Raises:
        FeatureError: an unknown name, an infinity, or a negative value.
    """
    if unknown := readings.keys() - _COLUMNS.keys():
        raise FeatureError("unknown names " + ", ".join(sorted(unknown)))
    row = np.array([readings.get(name, np.nan) for name in NAMES], np.float64)
    if np.isinf(row).any() or (row < 0).any():
        raise FeatureError("readings must be finite and not negative")
    return row
