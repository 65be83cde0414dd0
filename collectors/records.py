"""Batches of kernel records into sightings, in the kernel's order."""

import errno
import mmap
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from collectors.acts import Acts
from collectors.asked_words import IOCTL, PRCTL, asked_words
from collectors.changes import Changes
from collectors.reflexes import Reflexes
from collectors.routes import route
from collectors.sightings import (
    FILE_STORM,
    Reader,
    Sighting,
    directory,
    environment_words,
    host_name,
    peer_words,
    text,
)
from collectors.socket_words import socket_words
from probes.ring import Batch
from probes.schema import Schema

_ACCESS_FLAGS: Final = ("FLAG_READ", "FLAG_WRITE", "FLAG_CREATED")
_SOCKET: Final = 41  # its number as a system call
_MEMFD: Final = "/memfd:"
_CHOICES: Final = {IOCTL: 1, PRCTL: 0}
"""Calls that are told by what they are asked for: which argument says it."""
_LOW_WORD: Final = 0xFFFFFFFF
_NATIVE_OF_FOREIGN: Final = 0x10000


class Records:
    """One pass over a batch: Python runs per first-seen thing, not per event.

    Args:
        schema: Of the loaded object.
    """

    def __init__(self, schema: Schema) -> None:
        """Look up what each kind of record is called in the schema."""
        self.reader = Reader(schema)
        kinds = schema.enum("event_kind")
        self._names = {value: name for name, value in kinds.items()}
        self._flags = schema.enum("event_flag")
        self._write = self._flags["FLAG_WRITE"]
        self._read_flag = self._flags["FLAG_READ"]
        self._listed = self._flags["FLAG_DIRECTORY"]
        self._access = sum(self._flags[name] for name in _ACCESS_FLAGS)
        directions = schema.enum("peer_direction")
        self._accept = directions["PEER_ACCEPT"]
        self._environment = schema.enum("environment_flag")
        self._peers = {
            number: f"from-{name.removeprefix('PEER_').lower()}"
            for name, number in schema.enum("peer_class").items()
        }
        self._readers: dict[int, tuple[str, Callable[[np.void], Sighting]]] = {
            kinds["EVENT_EXEC"]: ("exec_event", self._exec),
            kinds["EVENT_PEER"]: ("peer_event", self._peer),
            kinds["EVENT_LISTEN"]: ("peer_event", self._listen),
            kinds["EVENT_DENIED"]: ("peer_event", self._denied),
            kinds["EVENT_REFUSED"]: ("peer_event", self._refused),
            kinds["EVENT_MAPPING"]: ("mapping_event", self._mapping),
            kinds["EVENT_SYSCALL"]: ("syscall_event", self._syscall),
            kinds["EVENT_NAME"]: ("name_event", self._name),
            kinds["EVENT_STACK"]: ("stack_event", self._stack),
            kinds["EVENT_CALLER"]: ("caller_event", self._caller),
            kinds["EVENT_STRANGER"]: ("stranger_event", self._stranger),
            kinds["EVENT_REQUEST"]: ("request_event", self._request),
        }
        self._readers |= Acts(self.reader, schema).readers()
        self._readers |= Reflexes(self.reader, schema).readers()
        self._words_part = schema.enum("stack_part")["STACK_WORDS"]
        self._file_kind, self._head_kind = kinds["EVENT_FILE"], kinds["EVENT_HEAD"]
        width = schema.limit("PATH_BYTES")
        drawn = np.frombuffer(secrets.token_bytes(width), "<u8")
        self._multipliers = (drawn << np.uint64(16)) | np.uint64(1)  # flags stay in the low bits
        self._prefixes = np.tril(np.full((width + 1, width), 255, np.uint8), -1).view("<u8")
        self._args_kind = kinds["EVENT_ARGS"]
        self._change_kind = kinds["EVENT_CHANGE"]
        self._changes = Changes(schema, self.reader, self._directories)

    def feed(self, batch: Batch) -> list[Sighting]:
        """Every sighting of a batch, ordered by time."""
        if not len(batch):
            return []
        present = set(np.unique(batch.headers["kind"]).tolist())
        whole = [self._file_kind, self._args_kind, self._change_kind, self._head_kind]
        known = np.isin(batch.headers["kind"], [*self._readers, *whole])
        self.reader.rejected += int(np.count_nonzero(~known))
        self.reader.read += len(batch)
        self.reader.heads.take(batch.of(self._head_kind, "head_event"))
        sightings = [s for kind in present & self._readers.keys() for s in self._read(batch, kind)]
        sightings += self._files(batch.of(self._file_kind, "file_event"))
        sightings += self._changes.read(batch.of(self._change_kind, "change_event"))
        arguments = batch.of(self._args_kind, "args_event")
        sightings = _with_arguments(sightings, arguments, self._environment)
        return sorted(sightings, key=lambda sighting: sighting.time_ns)

    def crowd(self, key: np.void, crowd: np.void, count: int) -> Sighting | None:
        """What so many records that were not made would have told; None for ordinary ends."""
        path = self.reader.path(crowd)
        item = path if int(key["grave"]) else directory(path) + "*"
        if int(key["kind"]) == self._change_kind:
            return self._changes.crowd(key, crowd, item, count)
        if int(key["kind"]) != self._file_kind:
            return None
        kind = "write" if int(crowd["hdr"]["flags"]) & self._write else "file"
        dev, ino, generation = _number(crowd)
        more = {"inode": (dev, ino), "generation": generation, "time_ns": int(crowd["latest_ns"])}
        return self._make(kind, item, crowd, count=count, **more)

    def _read(self, batch: Batch, kind: int) -> Iterator[Sighting]:
        struct, read = self._readers[kind]
        return (read(record) for record in batch.of(kind, struct))

    def _make(self, kind: str, item: str, record: np.void, **more: Any) -> Sighting:  # noqa: ANN401 - fields of Sighting
        return Sighting(kind=kind, item=item, **(self.reader.base(record) | more))

    def _exec(self, record: np.void) -> Sighting:
        path = self.reader.path(record)
        marks = self.reader.marks_of(record)
        if path.startswith(_MEMFD):
            marks |= {"memfd"}
        inode = (int(record["dev"]), int(record["ino"]))
        return self._make("exec", path, record, marks=marks, inode=inode)

    def _peer(self, record: np.void) -> Sighting:
        item = peer_words(record, self._accept, local=False)
        return self._make("peer", item, record, key=self._peer_key(record, "remote"))

    def _listen(self, record: np.void) -> Sighting:
        item = peer_words(record, self._accept, local=True)
        marks = self.reader.marks_of(record)
        if int(record["protocol"]) and not record["local"].any():
            marks |= {"wildcard"}
        key = self._peer_key(record, "local")
        return self._make("listen", item, record, key=key, marks=marks)

    def _caller(self, record: np.void) -> Sighting:
        """Whose connection to a local socket was accepted: a program of a user."""
        uid = int(record["uid"])
        item = f"accept unix by {self.reader.path(record) or '?'} uid {uid}"
        marks = self.reader.marks_of(record)
        if uid not in (0, int(record["hdr"]["uid"])):
            marks |= {"other-user"}
        inode = (int(record["dev"]), int(record["ino"]))
        key = self.reader.seen_key(
            record["hdr"], first=inode[1], dev=inode[0], generation=uid, access=self._accept
        )
        return self._make("peer", item, record, key=key, inode=inode, marks=marks)

    def _denied(self, record: np.void) -> Sighting:
        item = peer_words(record, self._accept, local=False)
        key = self._peer_key(record, "remote")
        return self._make("denied", item, record, key=key)

    def _refused(self, record: np.void) -> Sighting:
        """A connect that nobody answered; without an error, the caller gave up waiting."""
        item = peer_words(record, self._accept, local=False)
        error = -int(record["result"])
        marks = frozenset({errno.errorcode.get(error, str(error)).lower() if error else "given-up"})
        key = self._peer_key(record, "remote")
        return self._make("refused", item, record, key=key, status=(error, 0), marks=marks)

    def _peer_key(self, record: np.void, side: str) -> bytes:
        """As probes/peers.bpf.c builds it: the address's words, upper half first."""
        words = record[side].view("<u4")
        if not int(record["protocol"]) and not words.any():
            return (
                b""  # AF_UNIX by a kernel address that no record carries; a given name has a hash
            )
        return self.reader.seen_key(
            record["hdr"],
            first=(int(words[0]) << 32) | int(words[1]),
            second=(int(words[2]) << 32) | int(words[3]),
            dev=int(record[f"{side}_port"]),
            generation=(int(record["family"]) << 16) | int(record["protocol"]),
            access=int(record["direction"]),
        )

    def _mapping(self, record: np.void) -> Sighting:
        path, marks = self.reader.path(record), self.reader.marks_of(record)
        if path.startswith(_MEMFD):
            marks |= {"memfd"}
        if path and "mprotect" in marks:
            marks |= {"patched"}
        item = path or ("mprotect" if "mprotect" in marks else "anonymous")
        dev, ino, generation = _number(record)
        if int(record["prot"]) & mmap.PROT_EXEC:
            return self._make("library", item, record, marks=marks, inode=(dev, ino))
        key = self.reader.seen_key(
            record["hdr"], first=ino, dev=dev, generation=generation, access=self._read_flag
        )
        shared = int(record["hdr"]["flags"]) & self._flags["FLAG_SHARED"]
        marks |= {"mapped", "shared"} if shared else {"mapped"}
        more = {"inode": (dev, ino), "generation": generation, "marks": marks}
        return self._make("model", item, record, key=key, **more)

    def _stranger(self, record: np.void) -> Sighting:
        """Somebody else at a workload's file; the header's workload is the holder."""
        flags = int(record["hdr"]["flags"])
        dev, ino, generation = _number(record)
        key = self.reader.seen_key(
            record["hdr"],
            first=ino,
            second=int(record["exe_ino"]) ^ (int(record["exe_dev"]) << 32),
            dev=dev,
            generation=generation,
            access=flags & (self._read_flag | self._write),
        )
        marks = self.reader.marks(flags) | {"stranger"}
        marks |= {"written"} if flags & self._write else set()
        marks |= {"watched"} if int(record["opener"]) else set()
        more = {"inode": (dev, ino), "generation": generation, "exe": text(record["exe"])}
        return self._make("stranger", text(record["path"]), record, key=key, marks=marks, **more)

    def _syscall(self, record: np.void) -> Sighting:
        number, native = int(record["hdr"]["syscall"]), int(record["native"]) - 1
        if number == _SOCKET:
            return self._socket(record)
        first = number
        if native >= 0:  # the 64-bit call that a foreign one stands for, as probes/syscalls.bpf.c
            number, first = native, native | _NATIVE_OF_FOREIGN
        status = (int(record["result"]), 0)
        if number in _CHOICES:
            choice = int(record["args"][_CHOICES[number]]) & _LOW_WORD
            key = self.reader.seen_key(record["hdr"], first=first, second=choice)
            item = asked_words(number, choice)
            return self._make("syscall", item, record, key=key, status=status)
        key = self.reader.seen_key(record["hdr"], first=first)
        return self._make("syscall", str(number), record, key=key, status=status)

    def _socket(self, record: np.void) -> Sighting:
        """As probes/sockets.bpf.c builds its key: one kind of socket each."""
        family, kind, protocol = (int(word) for word in record["args"][:3])
        key = self.reader.seen_key(
            record["hdr"], first=_SOCKET, second=(family << 32) | protocol, dev=kind
        )
        item, status = socket_words(family, kind, protocol), (int(record["result"]), 0)
        return self._make("syscall", item, record, key=key, status=status)

    def _name(self, record: np.void) -> Sighting:
        """A question for a host name; its key is a hash that no record carries."""
        raw = bytes(record["name"])[: int(record["bytes"])]
        return self._make("name", host_name(raw), record)

    def _request(self, record: np.void) -> Sighting:
        """The first of its kind: its key holds the kernel's hash of the path."""
        letters, path = bytes(record["method"]), text(record["path"])
        key = self.reader.seen_key(
            record["hdr"],
            first=int(record["route"]),
            second=int.from_bytes(letters.ljust(8, b"\0"), "little"),
        )
        truncated = int(record["bytes"]) > len(path.encode())
        marks = frozenset({"truncated"} if truncated else ()) | {self._peers[int(record["peer"])]}
        item = route(text(letters), path, truncated=truncated)
        return self._make("request", item, record, key=key, marks=marks)

    def _stack(self, record: np.void) -> Sighting:
        """One of the two records of a stack; its item is the kind of record that it explains."""
        depth, header = int(record["depth"]), record["hdr"]
        return self._make(
            "stack",
            self._names.get(int(record["of_kind"]), ""),
            record,
            marks=frozenset({"words"} if int(record["part"]) == self._words_part else ()),
            status=(int(record["child"]), int(header["tid"])),
            frames=tuple(map(int, record["addresses"][:depth])),
        )

    def _files(self, records: NDArray[np.void]) -> list[Sighting]:
        sightings: list[Sighting] = []
        owners = records["hdr"]["workload"].copy()
        workloads = np.unique(owners)
        for workload in workloads:
            mine = records if len(workloads) == 1 else records[owners == workload]
            if len(mine) > FILE_STORM:
                sightings += self._fan_out(mine)
            else:
                sightings += [self._file(record) for record in mine]
        return sightings

    def _file(self, record: np.void, item: str = "", count: int = 1) -> Sighting:
        flags = int(record["hdr"]["flags"])
        dev, ino, generation = _number(record)
        key = self.reader.seen_key(
            record["hdr"],
            first=ino,
            second=flags & self._listed,
            dev=dev,
            generation=generation,
            access=flags & self._access,
        )
        kind = "write" if flags & self._write else "file"
        path = item or self.reader.path(record)
        if flags & self._listed and not path.endswith(("/", "*")):
            path += "/"
        more = {"inode": (dev, ino), "generation": generation, "size": int(record["size"])}
        return self._make(kind, path, record, key=key, count=count, **more)

    def _fan_out(self, records: NDArray[np.void]) -> list[Sighting]:
        """One sighting per directory and access: a storm is a fact about directories."""
        identity = self._directories(records)
        identity ^= (records["hdr"]["flags"] & (self._access | self._listed)).astype(np.uint64)
        _, first, counts = np.unique(identity, return_index=True, return_counts=True)
        return [
            self._file(
                records[at],
                directory(self.reader.path(records[at])) + "*" if count > 1 else "",
                int(count),
            )
            for at, count in zip(first, counts, strict=True)
        ]

    def _directories(self, records: NDArray[np.void]) -> NDArray[np.uint64]:
        """A number per directory, shape (n,).

        A sum of eight-byte words times odd numbers drawn at start: who cannot see those cannot
        make two directories look like one.
        """
        paths = np.ascontiguousarray(records["path"]).view(np.uint8).reshape(len(records), -1)
        # A path with no slash at all counts as one long directory: it stays by itself.
        lengths = paths.shape[1] - np.argmax(paths[:, ::-1] == ord("/"), axis=1)
        words = paths.view("<u8") & self._prefixes[lengths]
        found: NDArray[np.uint64] = words @ self._multipliers
        return found


def _number(record: np.void) -> tuple[int, int, int]:
    """Device, inode and generation of a record's file."""
    return int(record["dev"]), int(record["ino"]), int(record["generation"])


def _with_arguments(
    sightings: list[Sighting], records: NDArray[np.void], environment: dict[str, int]
) -> list[Sighting]:
    """Gives each exec the arguments, and marks of the environment, its second record carries."""
    found: dict[tuple[int, int], list[tuple[int, tuple[str, ...], frozenset[str]]]] = {}
    for record in records:
        raw = bytes(record["text"])[: int(record["bytes"])].rstrip(b"\0")
        words = tuple(text(word) for word in raw.split(b"\0"))
        marks = environment_words(int(record["environment"]), environment)
        header = record["hdr"]
        found.setdefault((int(header["pid"]), int(header["start_ns"])), []).append(
            (int(header["time_ns"]), words, marks)
        )
    out = []
    for sighting in sightings:
        after = [
            (words, marks)
            for time_ns, words, marks in found.get((sighting.pid, sighting.start_ns), [])
            if sighting.kind == "exec" and time_ns >= sighting.time_ns
        ]
        out.append(_replaced(sighting, *after[0]) if after else sighting)
    return out


def _replaced(sighting: Sighting, arguments: tuple[str, ...], marks: frozenset[str]) -> Sighting:
    return replace(sighting, arguments=arguments, marks=sighting.marks | marks)
