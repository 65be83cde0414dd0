"""Which tests of tests/host hold which capability: each file stands in one row of the table."""

from pathlib import Path
from typing import Final, NamedTuple

_HOST: Final = Path(__file__).parents[1] / "host"


class Capability(NamedTuple):
    """Some files of tests/host, run together in one process.

    Attributes:
        name: One word.
        about: The row's title.
        files: What stands between "test_" and ".py".
        limit_s: After so many seconds of the kernel's own clock they are cut.
        packages: Of Debian, which an emulated machine needs for them beside its usual ones.
    """

    name: str
    about: str
    files: tuple[str, ...]
    limit_s: int
    packages: tuple[str, ...] = ()


_NAMED: Final = (
    Capability(
        "loading", "loads, pins, mends, hands over",
        ("capabilities", "capabilities_held", "handover", "holding", "loader", "ring"), 300,
    ),
    Capability(
        "processes", "calls, processes, rights, signals, stacks",
        ("collectors_host", "probes_acts", "probes_calls", "probes_processes", "probes_stacks"),
        300,
    ),
    Capability(
        "files", "opens, changes, bytes by class, mounts, calls to devices",
        ("mounts_host", "probes_changes", "probes_classes", "probes_files", "probes_gpu_calls"),
        300,
    ),
    Capability(
        "network", "peers, sockets, names, traffic",
        ("probes_names", "probes_peers", "probes_refused", "probes_sockets", "probes_traffic"), 300,
    ),
    Capability("io_uring", "each operation of a ring", ("probes_ring",), 180),
    Capability("entries", "each act by each entry of the kernel", ("probes_ways",), 300),
    Capability("containment", "cut, frozen, let go",
        ("probes_containment", "response", "response_bomb"), 300),
    Capability(
        "response", "journal, crashes, refusals",
        ("response_crash", "response_faults", "response_refusals"), 600,
    ),
    Capability(
        "steps", "which, how far, against whom, how many",
        ("daemon_breaker", "daemon_gpu_freeze", "daemon_steps", "probes_budgets"), 500,
    ),
    Capability(
        "watching", "learns, tells, acts", ("daemon_acts", "daemon_prefork", "daemon_watch"), 500
    ),
    Capability(
        "verdicts", "changes, network, strangers, stacks",
        ("daemon_changes", "daemon_network", "daemon_strangers", "stacks"), 600,
    ),
    Capability(
        "models", "approved, changed, of another make",
        ("daemon_makeup", "daemon_models", "models_live"), 500,
    ),
    Capability(
        "survival", "killed, restarted, upgraded",
        ("daemon_kill", "daemon_killed", "daemon_lives", "daemon_upgrade"), 600,
    ),
    Capability(
        "loss", "blindness, storms, refusals, doctor",
        ("daemon_blindness", "daemon_refusals", "daemon_stages", "doctor_live"), 600,
    ),
    Capability(
        "evidence", "evidence, recordings, control, central",
        ("control_peers", "evidence", "recording_host", "ship_central"), 400,
    ),
    Capability(
        "operator", "probes of the operator's", ("operator_probes",), 900,
        ("python3-bpfcc", "openssl"),
    ),
)  # fmt: skip


def _rest() -> tuple[Capability, ...]:
    """Return the row of files that no other row names, so that none is forgotten."""
    there = {path.stem.removeprefix("test_") for path in _HOST.glob("test_*.py")}
    left = there.difference(*(one.files for one in _NAMED))
    return (
        (Capability("rest", "what no other row names", tuple(sorted(left)), 600),) if left else ()
    )


CAPABILITIES: Final = (*_NAMED, *_rest())
"""As a person reads the table: first what the kernel takes, last what stands on all of it."""
