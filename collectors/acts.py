"""What a process became and how it ended: names, rights, namespaces, signals, exits."""

import signal
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from collectors import rights
from collectors.sightings import Reader, Sighting, text
from probes.cuda import share_name
from probes.schema import Schema

_CRASHES: Final = frozenset({4, 5, 6, 7, 8, 11, 31})
"""As probes/processes.bpf.c counts them: a fault, not a request."""

_SHM_EXEC: Final = 0o100000
"""Of shmat(2): the segment is mapped executable."""

_DIGITS: Final = bytes(ord("0") if chr(byte).isdigit() else byte for byte in range(128)) + bytes(
    range(128, 256)
)


class Acts:
    """Reads the records of what processes are, not of what they use.

    Args:
        reader: Headers, marks and keys.
        schema: Of the loaded object.
    """

    def __init__(self, reader: Reader, schema: Schema) -> None:
        """Look up the constants once."""
        self._reader = reader
        self._kinds = schema.enum("event_kind")
        self._causes = schema.enum("privilege_cause")
        self._namespaces = schema.enum("namespace_kind")
        self._acts = schema.enum("gpu_act")
        self._operations = {
            value: name.removeprefix("SHARED_").lower()
            for name, value in schema.enum("shared_operation").items()
        }

    def readers(self) -> dict[int, tuple[str, Callable[[np.void], Sighting]]]:
        """Struct and function by event kind."""
        return {
            self._kinds["EVENT_EXIT"]: ("exit_event", self._exit),
            self._kinds["EVENT_TITLE"]: ("title_event", self._title),
            self._kinds["EVENT_PRIVILEGE"]: ("privilege_event", self._privilege),
            self._kinds["EVENT_SIGNAL"]: ("signal_event", self._signal),
            self._kinds["EVENT_SHARED"]: ("shared_event", self._shared),
            self._kinds["EVENT_GPU"]: ("gpu_event", self._gpu),
        }

    def _make(self, kind: str, item: str, record: np.void, **more: Any) -> Sighting:  # noqa: ANN401 - fields of Sighting
        return Sighting(kind=kind, item=item, **(self._reader.base(record) | more))

    def _gpu(self, record: np.void) -> Sighting:
        """GPU code loaded, memory shared, or where the driver's library has a function."""
        act, name = int(record["act"]), text(record["name"])
        if act == self._acts["GPU_SHARE"]:
            detail = int(record["detail"])
            key = self._reader.seen_key(record["hdr"], first=detail, access=act)
            return self._make("gpu", f"share {share_name(detail)}", record, key=key)
        if act == self._acts["GPU_MODULE_FILE"]:
            return self._make("gpu", f"load file {name}", record)
        marks = self._reader.marks(int(record["hdr"]["flags"]))
        marks |= {"function"} if act == self._acts["GPU_LOOKUP"] else {"code"}
        frames = tuple(int(record[field]) for field in ("address", "prefix", "bytes"))
        return self._make("gpu", name or "load code", record, marks=marks, frames=frames)

    def _exit(self, record: np.void) -> Sighting:
        status = (int(record["code"]), int(record["signal"]))
        marks = self._reader.marks_of(record)
        if status[1] in _CRASHES:
            marks |= {"crash"}
        return self._make("exit", _ending(record, marks), record, status=status, marks=marks)

    def _title(self, record: np.void) -> Sighting:
        raw = bytes(record["name"])
        first, second = _name_words(raw)
        key = self._reader.seen_key(record["hdr"], first=first, second=second)
        return self._make("title", f"set-name {text(raw)}", record, key=key)

    def _privilege(self, record: np.void) -> Sighting:
        cause = int(record["cause"])
        if cause == self._causes["PRIVILEGE_NAMESPACE"]:
            found = int(record["namespaces"])
            key = self._reader.seen_key(record["hdr"], first=found, access=cause << 1)
            item = "namespace " + ",".join(rights.namespaces(found, self._namespaces))
            return self._make("privilege", item, record, key=key)
        marks = self._reader.marks_of(record) | rights.marks(record)
        if cause == self._causes["PRIVILEGE_UNCAUSED"]:
            marks |= {"uncaused"}
        key = self._reader.seen_key(
            record["hdr"],
            first=record["capabilities"],
            second=int(record["euid_before"]) << 32 | int(record["euid"]),
            dev=record["egid_before"],
            generation=record["egid"],
            access=cause << 1 | ("gained" in marks),
        )
        return self._make("privilege", rights.change(record), record, key=key, marks=marks)

    def _signal(self, record: np.void) -> Sighting:
        target = self._reader.path(record) or text(record["comm"])
        parent = "its parent " if record["target"] == record["hdr"]["ppid"] else ""
        item = f"kill {signal_name(int(record['signal']))} -> {parent}{target}"
        return self._make("signal", item, record)

    def _shared(self, record: np.void) -> Sighting:
        """A System V segment, `stranger` where no process of the workload made it; or a memfd."""
        operation = self._operations[int(record["operation"])]
        if operation == "memfd":
            raw = bytes(record["name"])
            first, second = _name_words(raw[:15])
            key = self._reader.seen_key(
                record["hdr"], first=first, second=second, access=record["operation"]
            )
            return self._make("shared", f"/memfd:{text(raw)}", record, key=key)
        name, owner = int(record["key"]), int(record["owner"])
        own = record["creator_workload"] == record["hdr"]["workload"]
        marks = self._reader.marks_of(record) | {operation}
        if not own:
            marks |= {"stranger"} if owner == record["hdr"]["uid"] else {"stranger", "other-owner"}
        if int(record["attach_flags"]) & _SHM_EXEC:
            marks |= {"executable"}
        key = self._reader.seen_key(
            record["hdr"],
            first=owner << 32 | name,
            second=int(own),
            access=record["operation"],
        )
        item = f"sysv shm 0x{name:08x}" if name else "sysv shm private"
        return self._make("shared", item, record, key=key, marks=marks)


def _name_words(name: bytes) -> tuple[int, int]:
    """A short name as probes/titles.bpf.h makes a key of it."""
    first, second = np.frombuffer(name.ljust(16, b"\0").translate(_DIGITS), "<u8")
    return int(first), int(second)


def signal_name(number: int) -> str:
    """`SIGKILL`, or `SIG` and the number of one without a name."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _ending(record: np.void, marks: frozenset[str]) -> str:
    """How a process ended, in words: its code, or the signal and who sent it."""
    number, sent = int(record["signal"]), int(record["sent"])
    comm = text(record["sender_comm"])
    sender = f"{comm} (pid {int(record['sender'])}, uid {int(record['sender_uid'])})"
    if not number:
        after = f" after {signal_name(sent)} from {sender}" if sent else ""
        return f"code {int(record['code'])}{after}"
    if "oom" in marks:
        return "out of memory"
    name = signal_name(number)
    if "crash" in marks:
        name = f"crash {name}"
    core = ", core dumped" if "core" in marks else ""
    return f"{name}{core}{f' from {sender}' if sent == number else ''}"
