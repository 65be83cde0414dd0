"""Every drill as data: what is simulated, what is expected of the agent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Drill:
    """One simulation.

    Attributes:
        behaviour: B1 to B15 of the threat catalogue; "" for a look-alike.
        words: What it does.
        techniques: ATT&CK and ATLAS ids of what is simulated.
        expected: Lowest level that counts as caught; for a look-alike, highest that is quiet.
        outside: Done from outside the server, so also against one that is not the drills' own.
    """

    name: str
    behaviour: str
    words: str
    techniques: tuple[str, ...]
    expected: str = "high"
    outside: bool = False

    @property
    def lookalike(self) -> bool:
        """Whether the agent must stay quiet."""
        return not self.behaviour

    def as_json(self) -> dict[str, Any]:
        """Return plain values."""
        return {
            "name": self.name,
            "behaviour": self.behaviour or "look-alike",
            "what": self.words,
            "techniques": list(self.techniques),
            "expected": f"at most {self.expected}"
            if self.lookalike
            else f"at least {self.expected}",
            "outside": self.outside,
        }


def _attack(behaviour: str, name: str, words: str, *techniques: str, least: str = "high") -> Drill:
    return Drill(name, behaviour, words, techniques, least)


def _likeness(name: str, words: str, *, outside: bool = False) -> Drill:
    return Drill(name, "", words, (), "low", outside)


ATTACKS: Final = (
    _attack("B1", "shell", "runs /bin/sh", "T1059.004", "AML.T0050"),
    _attack("B1", "interpreter", "runs perl", "T1059.006", "AML.T0050"),
    _attack("B1", "look-around", "runs id", "T1033"),
    _attack("B1", "dropped-program", "runs a program it just wrote", "T1059"),
    _attack("B1", "system-program", "runs nproc, an ordinary program new to it", "T1059"),
    _attack("B2", "beacon", "connects to a loopback port it never had", "T1071", "AML.T0072"),
    _attack("B2", "socket-shell", "runs a shell on a connection", "T1059.004", "T1095"),
    _attack("B3", "ssh-key", "reads a decoy SSH key", "T1552.004", "AML.T0055"),
    _attack("B3", "cloud-credentials", "reads decoy cloud credentials", "T1552.001"),
    _attack("B3", "environment-file", "reads a decoy .env", "T1552.001"),
    _attack("B3", "hub-token", "reads a decoy hub token", "T1552.001"),
    _attack("B3", "parent-environment", "reads its parent's environment", "T1003.007"),
    _attack("B3", "search", "reads a file in each of twelve directories", "T1083"),
    _attack("B4", "metadata-service", "addresses 169.254.169.254, sends nothing", "T1552.005"),
    _attack("B4", "port-sweep", "tries a closed port of twelve loopback addresses", "T1046"),
    _attack("B5", "weights-by-another", "has cat read the model", "T1005", "AML.T0035"),
    _attack("B5", "other-weights", "reads weights it never served", "T1005"),
    _attack("B5", "archive", "has tar read the models", "T1560"),
    _attack("B6", "upload", "sends 64 MiB of zeros to a new peer", "T1041", "AML.T0025"),
    _attack("B6", "upload-learned-peer", "sends 64 MiB of zeros to a known peer", "T1567"),
    _attack("B7", "unasked-work", "computes for eight seconds", "T1496.001", least="medium"),
    _attack("B7", "miner", "runs a program called xmrig, which sleeps", "T1496.001"),
    _attack("B8", "masquerade", "calls a thread kworker/0:0", "T1036.004", least="high"),
    _attack("B8", "memory-program", "runs a program from a memory file", "T1620"),
    _attack("B8", "shared-memory-program", "runs a hidden program from /dev/shm", "T1564"),
    _attack("B9", "start-file", "writes an inert .pth", "T1546.018"),
    _attack("B9", "preload", "writes an ld.so.preload where none is used", "T1574.006"),
    _attack("B9", "authorized-keys", "writes authorized_keys in a decoy home", "T1098.004"),
    _attack("B9", "shell-start-file", "writes .bashrc in a decoy home", "T1546.004"),
    _attack("B9", "unit-file", "writes a systemd unit where none is used", "T1543.002"),
    _attack("B9", "moved-into-place", "renames a file to authorized_keys", "T1098.004"),
    _attack("B10", "made-executable", "makes a file it wrote executable", "T1222.002"),
    _attack("B10", "load-code", "loads machine code it just wrote", "T1574.006", "AML.T0011.000"),
    _attack("B10", "writable-code", "maps writable executable memory", "T1055", least="medium"),
    _attack("B11", "tamper", "appends a byte to the model", "T1565.001", least="medium"),
    _attack("B11", "replace-model", "puts another file in its place", "T1565.001", least="medium"),
    _attack("B11", "model-moved", "renames the model away and back", "T1485", "AML.T0029"),
    _attack("B11", "management-call", "is told to load a model", "T1190", "AML.T0049"),
    _attack("B12", "foreign-shared-memory", "opens another server's shared memory", "T1559"),
    _attack("B12", "listener", "listens on a loopback port", "T1571"),
    _attack("B13", "child-memory", "opens the memory of its own child", "T1055.008"),
    _attack("B14", "runtime-socket", "calls a decoy docker.sock", "T1611", "AML.T0105"),
    _attack("B14", "leave-namespace", "runs unshare in a user namespace", "T1611"),
    _attack("B15", "crashes", "lets three helpers crash", "T1499", "AML.T0029"),
    _attack("B15", "client-sweep", "is asked 300 different things", "AML.T0024", least="medium"),
    _attack("B15", "crash-then-program", "crashes, then runs a new program", "T1499", "T1059"),
)  # fmt: skip

LOOKALIKES: Final = (
    _likeness("metrics", "runs its metrics program, as it was learned to"),
    _likeness("helper", "starts a helper of its own interpreter"),
    _likeness("download", "fetches from the hub it always fetches from"),
    _likeness("log-rotation", "renames its log and begins a new one"),
    _likeness("hot-swap", "loads another version of the model and the old one again"),
    _likeness("lazy-imports", "imports four modules for the first time"),
    _likeness("temporary-files", "writes and removes temporary files"),
    _likeness("atomic-save", "saves its state beside the old one, then in its place"),
    _likeness("more-threads", "serves with eight more threads for a second"),
    _likeness("name-service", "addresses the host's own name service"),
    _likeness("reload", "reads the model five times again"),
    _likeness("host-facts", "reads /proc/meminfo and the like, as telemetry does"),
    _likeness("management-refused", "is told to load a model that it does not have"),
    _likeness("load-peak", "is asked ten times as much for three seconds", outside=True),
    _likeness("idle", "is asked nothing for three seconds", outside=True),
    _likeness("healthcheck", "is asked by a program outside its tree", outside=True),
    _likeness("operator-shell", "an operator runs a shell beside it", outside=True),
    _likeness("profiler", "somebody outside reads its /proc/PID/maps", outside=True),
)

DRILLS: Final = {drill.name: drill for drill in (*LOOKALIKES, *ATTACKS)}
