"""The configuration's keys: each with type, default, check and its words in the reference file.

Names carry units. Everything here is immutable; a section is one TOML table.
"""

# ruff: noqa: RUF009  (`key` is `dataclasses.field` with a check and words)

import socket
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from agent.config import checks
from agent.config.checks import Check
from agent.log import LEVELS

RESPONSES: Final = ("observe", "alert", "limit", "contain", "freeze", "kill")
"""The response ladder, lowest step first."""

REFLEXES: Final = ("exec", "connect", "secret")
"""What the kernel may answer by itself: programs, peers, secret files."""

CLIENTS: Final = ("keep", "cut")
"""What becomes of connections that clients opened, once a workload is contained."""

_HOUR_S: Final = 3600.0
_WEEK_S: Final = 7 * 24 * _HOUR_S
_NAME: Final = checks.text(
    r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}",
    "a name of letters, digits, dots, dashes and underscores, at most 63",
)
_EARNED: Final = "for a {} verdict of a guarding baseline"
_WORD: Final = checks.text(r"[^\0]+", "a string that is not empty")


def key(default: object, check: Check, words: str) -> Any:  # noqa: ANN401  (stands for any field's type)
    """Declare a key: `words` is its comment in the reference file."""
    return field(default=default, metadata={"check": check, "words": words})


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """Who this agent is and how far it may go."""

    host: str = key(
        "",
        checks.text(r"[A-Za-z0-9._-]{0,253}", "a host name"),
        "name at central; empty: the host's own",
    )
    respond: str = key(
        "alert",
        checks.choice(*RESPONSES),
        "observe | alert | limit | contain | freeze | kill: the highest step taken unasked",
    )
    log_level: str = key("info", checks.choice(*LEVELS), "debug | info | warning | error")


@dataclass(frozen=True, slots=True, kw_only=True)
class Paths:
    """Where things lie; moving them all lets a second instance run beside the first."""

    state: Path = key(
        Path("/var/lib/inferward"), checks.path, "baselines, events, journal, outbox, keys"
    )
    run: Path = key(Path("/run/inferward"), checks.path, "control socket and lock")
    pins: Path = key(
        Path("/sys/fs/bpf/inferward"), checks.path, "maps and links in the BPF file system"
    )
    probes: Path = key(Path("/etc/inferward/probes.d"), checks.path, "operator probes")
    workloads: Path = key(
        Path("/etc/inferward/workloads.d"), checks.path, "workload rules beside the shipped ones"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """What one judgement covers."""

    length_s: float = key(1.0, checks.number(0.1, 60.0), "seconds of one window")


@dataclass(frozen=True, slots=True, kw_only=True)
class Learning:
    """When a baseline has learned enough: evidence, quiet and shadow must all be reached."""

    min_windows: int = key(300, checks.integer(1, 10_000_000), "windows of evidence before shadow")
    quiet_s: float = key(120.0, checks.number(0.0, _WEEK_S), "and seconds without a new item")
    shadow_s: float = key(300.0, checks.number(0.0, _WEEK_S), "and seconds scored without acting")


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What the agent may cost: in false alarms, processor and memory."""

    false_alarms_per_month: float = key(1.0, checks.number(0.001, 10_000.0), "per workload")
    cpu_percent: float = key(
        2.0, checks.number(0.1, 100.0), "of one core; the agent degrades before it exceeds it"
    )
    rss_mib: int = key(150, checks.integer(64, 65_536), "resident memory of the daemon, in MiB")


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """Bounds on acting."""

    contain_for_s: float = key(
        600.0, checks.number(1.0, _WEEK_S), "seconds until a containment ends by itself"
    )
    breaker_count: int = key(3, checks.integer(1, 1000), "after so many distinct containments")
    breaker_minutes: float = key(
        10.0, checks.number(0.1, 1440.0), "within so many minutes, stop acting and say so"
    )
    clients: str = key(
        "keep",
        checks.choice(*CLIENTS),
        "keep | cut: the connections that clients opened, of who is contained",
    )
    evidence_before_kill: bool = key(
        default=True,
        check=checks.flag,
        words="freeze, collect evidence for at most a minute, then kill",
    )
    evidence_memory: tuple[str, ...] = key(
        (),
        checks.each(_WORD),
        "and their memory, as `agent evidence --memory` names it: [heap], [stack], [anon-code]",
    )
    dry_run: bool = key(
        default=False,
        check=checks.flag,
        words="tell what would be done, and do nothing",
    )
    reflex_count: int = key(
        8, checks.integer(1, 1000), "after so many different reflexes of one workload"
    )
    reflex_minutes: float = key(
        10.0, checks.number(0.1, 1440.0), "within so many minutes, let it act, and alert"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Steps:
    """The step that a verdict of each level earns; the highest taken is `respond`'s."""

    low: str = key("alert", checks.choice(*RESPONSES), _EARNED.format("low"))
    medium: str = key("alert", checks.choice(*RESPONSES), _EARNED.format("medium"))
    high: str = key("contain", checks.choice(*RESPONSES), _EARNED.format("high"))
    critical: str = key("kill", checks.choice(*RESPONSES), _EARNED.format("critical"))


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a limited workload may send in an hour on connections of its own; replies are free."""

    public_mib_per_hour: float = key(
        64.0, checks.number(0.001, 1e9), "MiB to public addresses, headers included"
    )
    private_mib_per_hour: float = key(
        1024.0, checks.number(0.001, 1e9), "to private, link-local and multicast ones, of each kind"
    )
    metadata_mib_per_hour: float = key(
        1.0, checks.number(0.001, 1e9), "to the cloud's metadata service"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Models:
    """Model files that workloads open, beside `agent models trust`."""

    keys: tuple[Path, ...] = key(
        (), checks.each(checks.path), "public keys that may have signed an approval, beside our own"
    )
    publishers: tuple[str, ...] = key(
        (),
        checks.each(_WORD),
        "executables that may change approved files; named any, all others are denied (tier guard)",
    )
    theft_percent: tuple[float, ...] = key(
        (1.0, 10.0),
        checks.ascending(0.001, 1000.0),
        "of a model, sent to new peers or read by a stranger: high, at the last one critical",
    )
    require_approval: bool = key(
        default=False,
        check=checks.flag,
        words="weights that nobody approved are a verdict: medium",
    )
    digest: bool = key(
        default=True,
        check=checks.flag,
        words="read weights that nobody approved once, too, for the ledger's digests",
    )
    scan: bool = key(
        default=True,
        check=checks.flag,
        words="look for code in pickles and archives that nobody approved, when they are opened",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tap:
    """Whether what is asked drifts: salted counts of what bodies consist of, never content."""

    workloads: tuple[str, ...] = key(
        (), checks.each(_NAME), "names of those that are tapped; none: nothing is"
    )
    prefix_bytes: int = key(
        512, checks.integer(3, 4096), "of each request's body, at most, that are looked at"
    )
    retention_days: int = key(
        30,
        checks.integer(1, 365),
        "age at which what was learned of bodies is deleted, and begun anew",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Gpu:
    """What is looked at of a GPU."""

    launches: bool = key(
        default=True,
        check=checks.flag,
        words="count kernel launches: some microseconds each; without, work of the GPU that nobody"
        " asked for shows in its utilisation alone",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """The local record of what happened."""

    keep_entries: int = key(
        100_000,
        checks.integer(100, 100_000_000),
        "lines of events.db, some 4 KiB each; the oldest give way",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Ship:
    """Where verdicts travel to."""

    endpoints: tuple[str, ...] = key(
        (), checks.each(checks.endpoint), "addresses of central; none: keep everything here"
    )
    central_key: str = key(
        "", checks.curve_key, "central's public key (Z85), from `agent keys show` there"
    )
    outbox_mib: int = key(
        64, checks.integer(1, 65_536), "disk kept for what central has not acknowledged"
    )
    heartbeat_s: float = key(10.0, checks.number(0.1, _HOUR_S), "seconds between signs of life")


@dataclass(frozen=True, slots=True, kw_only=True)
class Central:
    """The collector that hosts report to; read by `agent central` alone."""

    bind: str = key("tcp://127.0.0.1:5599", checks.endpoint, "address it listens on")
    store: Path | None = key(
        None, checks.path, "where it keeps what it was told; not given: central/ in paths.state"
    )
    keep_days: int = key(90, checks.integer(1, 3650), "age at which a verdict is dropped")
    silent_after_s: float = key(
        30.0, checks.number(1.0, _WEEK_S), "a host unheard for so long is told of as silent"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """What a workload is recognised by; all that is given must hold."""

    exe: str | None = key(None, _WORD, "path of the executable, or its last part")
    cmdline: str | None = key(
        None, checks.regex, "regular expression, searched in the arguments joined by spaces"
    )
    unit: str | None = key(None, _WORD, "systemd unit")
    cgroup: str | None = key(None, _WORD, "path of the cgroup")
    image: str | None = key(None, _WORD, "container image")
    port: int | None = key(None, checks.integer(1, 65_535), "TCP port it listens on")
    library: str | None = key(None, _WORD, "mapped library, such as libonnxruntime")


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    """One workload the operator names."""

    name: str = key("", _NAME, "its name in every table and verdict")
    match: Match = field(default=Match(), metadata={"words": "all given must hold"})
    respond: str | None = key(None, checks.choice(*RESPONSES), "instead of agent.respond")
    false_alarms_per_month: float | None = key(
        None, checks.number(0.001, 10_000.0), "instead of the budget's"
    )
    dry_run: bool | None = key(None, checks.flag, "instead of response.dry_run")
    reflex: tuple[str, ...] = key(
        (),
        checks.each(checks.choice(*REFLEXES)),
        "exec, connect, secret: while it guards, the kernel answers what was not learnt by itself",
    )
    clients: str | None = key(None, checks.choice(*CLIENTS), "instead of response.clients")
    steps: Steps | None = field(
        default=None, metadata={"words": "instead of [steps]; missing keys as there"}
    )
    upload: Upload | None = field(
        default=None, metadata={"words": "instead of [upload]; missing keys as there"}
    )
    learning: Learning | None = field(
        default=None, metadata={"words": "instead of [learning]; missing keys as there"}
    )


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value came from: a file and its line."""

    file: Path
    line: int

    def __str__(self) -> str:
        """Write it as editors and compilers do."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Everything that is configured, and where each value that is no default came from.

    `origins` is keyed by dotted names: "window.length_s", "workload.0.match.port".
    """

    agent: Agent = Agent()
    paths: Paths = Paths()
    window: Window = Window()
    learning: Learning = Learning()
    budget: Budget = Budget()
    response: Response = Response()
    steps: Steps = Steps()
    upload: Upload = Upload()
    models: Models = Models()
    tap: Tap = Tap()
    gpu: Gpu = Gpu()
    store: Store = Store()
    ship: Ship = Ship()
    central: Central = Central()
    workload: tuple[Workload, ...] = ()
    origins: Mapping[str, Origin] = field(default_factory=dict)

    @property
    def host(self) -> str:
        """This host's name at central."""
        return self.agent.host or socket.gethostname()

    @property
    def central_store(self) -> Path:
        """The directory of central's store."""
        return self.central.store or self.paths.state / "central"


SECTIONS: Final = {
    "agent": Agent,
    "paths": Paths,
    "window": Window,
    "learning": Learning,
    "budget": Budget,
    "response": Response,
    "steps": Steps,
    "upload": Upload,
    "models": Models,
    "tap": Tap,
    "gpu": Gpu,
    "store": Store,
    "ship": Ship,
    "central": Central,
}
"""The tables of the file that appear once, in the order of the reference file."""
