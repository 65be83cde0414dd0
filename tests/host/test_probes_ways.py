"""Whatever a process can do by several entries of the kernel is seen by each of them.

What cannot be seen has a line in probes/EXCLUSIONS.md.
"""

import re
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from detectors.rules import RULES
from detectors.rules.rule import SYSCALL
from probes import syscalls
from tests.host.actors import stopped, wait_for
from tests.host.eyes import Eyes, Seen

BYTES: Final = 1009


class Way(NamedTuple):
    """One way, and what must be seen of it.

    Attributes:
        name: As tests/host/ways.c has it.
        kind: Of a sighting; "moved": bytes by class instead.
        item: Of that sighting; a name without a slash lies in the directory of the test.
        marks: Which it has at least.
        times: How often it must be told; of "moved", how many bytes.
    """

    name: str
    kind: str
    item: str
    marks: frozenset[str] = frozenset()
    times: int = 1


def _marked(*marks: str) -> frozenset[str]:
    return frozenset(marks)


WAYS: Final = (
    Way("open-at2", "file", "n0"),
    Way("open-by-handle", "file", "n0"),
    Way("open-by-handle", "syscall", "open_by_handle_at"),
    Way("open-by-handle", "syscall", "name_to_handle_at"),
    Way("open-again", "write", "n0"),
    Way("open-by-ring", "file", "n0"),
    Way("open-by-32-bit", "file", "n0"),
    Way("write-vector", "moved", "written temp", times=BYTES),
    Way("write-by-splice", "moved", "written temp", times=BYTES),
    Way("write-by-splice", "moved", "read temp", times=BYTES),
    Way("write-by-sendfile", "moved", "written temp", times=BYTES),
    Way("write-by-copy", "moved", "written temp", times=BYTES),
    Way("write-by-aio", "moved", "written temp", times=BYTES),
    Way("read-by-aio", "moved", "read temp", times=BYTES),
    Way("write-by-ring", "moved", "written temp", times=BYTES),
    Way("write-by-ring-vector", "moved", "written temp", times=BYTES),
    Way("write-by-mapping", "moved", "mapped temp", times=4096),
    Way("write-by-mapping", "write", "out", _marked("create")),
    Way("move-many", "moved", "written socket", times=3 * BYTES),
    Way("move-many", "moved", "read socket", times=3 * BYTES),
    Way("exchange", "write", "n0", _marked("renamed-from")),
    Way("exchange", "write", "n1", _marked("renamed-to")),
    Way("link-descriptor", "write", "made", _marked("linked-to")),
    Way("mode-at", "write", "n0", _marked("mode", "executable")),
    Way("mode-by-32-bit", "write", "n0", _marked("mode", "executable")),
    Way("attribute-at", "write", "n0", _marked("attribute", "security-attribute")),
    Way("flags-at", "write", "n0", _marked("flags", "immutable")),
    Way("empty", "write", "n0", _marked("emptied")),
    Way("empty-by-ring", "write", "n0", _marked("emptied", "io_uring")),
    Way("empty-by-32-bit", "write", "n0", _marked("emptied")),
    Way("mount-new", "write", "d", _marked("mounted")),
    Way("mount-new", "syscall", "fsopen"),
    Way("mount-new", "syscall", "fsconfig"),
    Way("mount-new", "syscall", "fsmount"),
    Way("mount-pick", "syscall", "fspick"),
    Way("run-at", "exec", "/usr/bin/true"),
    Way("run-script", "exec", "/usr/bin/true"),
    Way("run-script", "write", "script", _marked("create")),
    Way("clone-apart", "privilege", "namespace uts"),
    Way("execute-by-key", "library", "mprotect", _marked("anonymous", "mprotect")),
    Way("execute-by-key", "syscall", "pkey_mprotect"),
    Way("execute-by-segment", "shared", "sysv shm", _marked("attach", "executable")),
    Way("execute-moved", "library", "anonymous", _marked("anonymous")),
    Way("connect-sending", "peer", "tcp 127.0.0.1:"),
    Way("connect-sending-in-vain", "refused", "tcp 240.0.0.1:17921"),
    Way("connect-datagrams", "peer", "udp 127.0.0.1:17922"),
    Way("listen-by-ring", "listen", "tcp 127.0.0.1:17923"),
    Way("accept-by-ring", "peer", "accept tcp 127.0.0.1"),
    Way("call-absent", "refused", "unix absent", _marked("enoent")),
    Way("call-abstract", "refused", "unix @hidden", _marked("econnrefused")),
    Way("call-deaf", "refused", "unix deaf", _marked("econnrefused")),
    Way("call-by-ring", "refused", "unix absent", _marked("enoent")),
    Way("call-by-32-bit", "refused", "unix absent", _marked("enoent")),
    Way("send-absent", "refused", "unix absent", _marked("enoent")),
    Way("send-message-absent", "refused", "unix absent", _marked("enoent")),
    Way("send-aside", "peer", "unix usual", _marked("given")),
    Way("send-aside", "peer", "unix aside", _marked("given")),
    Way("send-by-ring", "peer", "unix aside", _marked("given")),
    Way("send-by-ring", "moved", "written socket", times=BYTES),
    Way("send-absent-by-ring", "refused", "unix absent", _marked("enoent")),
    Way("sockets", "syscall", "socket inet raw icmp"),
    Way("sockets", "syscall", "socket packet raw"),
    Way("sockets", "syscall", "socket vsock stream"),
    Way("sockets", "syscall", "socket netlink netfilter"),
    Way("sockets", "syscall", "socket alg seqpacket"),
    Way("sockets", "syscall", "socket inet seqpacket sctp"),
    Way("sockets", "syscall", "socket inet stream mptcp"),
    Way("options", "syscall", "prctl set-dumpable"),
    Way("options", "syscall", "prctl set-keepcaps"),
    Way("options", "syscall", "prctl set-securebits"),
    Way("options", "syscall", "prctl set-mm"),
    Way("options", "syscall", "prctl ambient-capabilities"),
    Way("options", "syscall", "prctl set-ptracer"),
    Way("requests", "syscall", "ioctl type-on-terminal"),
    Way("requests", "syscall", "ioctl add-route"),
    Way("requests", "syscall", "ioctl delete-route"),
    Way("requests", "syscall", "ioctl set-interface-flags"),
    Way("requests", "syscall", "ioctl set-interface-address"),
    Way("requests", "syscall", "ioctl set-hardware-address"),
    Way("requests", "syscall", "ioctl delete-arp"),
    Way("requests", "syscall", "ioctl set-arp"),
    Way("pass-descriptor", "moved", "read temp", times=BYTES),
)  # fmt: skip

FOREIGN: Final = {103: "syslog", 287: "request_key", 349: "kcmp", 433: "fspick"}
"""By the 32-bit entry's number."""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "d").mkdir()
    for name in ("n0", "n1"):
        (tmp_path / name).write_bytes(bytes(BYTES))
    return tmp_path


def gone(eyes: Eyes, way: str, where: Path) -> Seen:
    with eyes.ways(way, where) as gated:
        gated.tell()
        seen_output = gated.end()
    if seen_output.startswith("absent"):
        pytest.skip(f"this kernel or filesystem has it not: {seen_output.strip()}")
    return eyes.seen(gated.number)


def items(seen: Seen, way: Way, where: Path) -> list[str]:
    """What was told as it should be, of this item."""
    return [
        s.item
        for s in seen.sightings
        if s.kind == way.kind and s.marks >= way.marks and _is(way, s.item, where)
    ]


def _is(way: Way, item: str, where: Path) -> bool:
    if way.kind == "syscall":
        return way.item == (syscalls.name(int(item)) if item.isdecimal() else item)
    if way.item.endswith((":", "shm")):
        return item.startswith(way.item)
    return item in {way.item, str(where / way.item)}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: f"{way.name}: {way.kind} {way.item}")
def test_each_way_is_seen(eyes: Eyes, files: Path, way: Way) -> None:
    seen = gone(eyes, way.name, files)
    if way.kind == "moved":
        assert seen.moved[way.item] == way.times
    else:
        assert len(items(seen, way, files)) == way.times, [
            (s.kind, s.item, sorted(s.marks)) for s in seen.sightings
        ]
    assert not +seen.losses


def test_refusals_of_local_sockets_are_counted_each_time(eyes: Eyes, files: Path) -> None:
    assert gone(eyes, "call-absent", files).totals["COUNT_REFUSED"] == 5


def test_the_key_of_a_refused_local_socket_is_the_kernel_s(eyes: Eyes, files: Path) -> None:
    seen = gone(eyes, "call-absent", files)
    (refusal,) = (s for s in seen.sightings if s.kind == "refused")
    assert eyes.sensor.maps["seen"].get(refusal.key) is not None


def test_the_keys_of_what_calls_are_asked_for_are_the_kernel_s(eyes: Eyes, files: Path) -> None:
    for way in ("options", "requests"):
        told = [s for s in gone(eyes, way, files).sightings if s.kind == "syscall"]
        assert all(eyes.sensor.maps["seen"].get(s.key) is not None for s in told)


def test_room_that_is_made_for_a_file_is_no_change(eyes: Eyes, files: Path) -> None:
    assert not gone(eyes, "make-room", files).totals["COUNT_CHANGES"]


def test_what_is_asked_for_all_the_time_is_not_told(eyes: Eyes, files: Path) -> None:
    assert len(gone(eyes, "options", files).items("syscall")) == 6
    assert len(gone(eyes, "requests", files).items("syscall")) == 8


SECOND: Final = """
import ctypes, os, socket, struct
heard = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
heard.bind(sys.argv[1])
own, other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
libc, text = ctypes.CDLL(None), ctypes.create_string_buffer(b"x")
piece = ctypes.create_string_buffer(struct.pack("QQ", ctypes.addressof(text), 1))
name = ctypes.create_string_buffer(struct.pack("H108s", socket.AF_UNIX, sys.argv[1].encode()))
def message(at, length):
    return struct.pack("QIQQQQII", at, length, ctypes.addressof(piece), 1, 0, 0, 0, 0)
messages = message(0, 0) + message(ctypes.addressof(name), 110)
gate()
libc.sendmmsg(own.fileno(), messages, 2, 0)
"""


def test_a_name_behind_the_first_message_stops_a_contained_process(
    eyes: Eyes, tmp_path: Path
) -> None:
    if eyes.sensor.tier != "trace":
        pytest.skip("this kernel denies each message before it is sent: tests/vm/guest/guard.py")
    with eyes.python(SECOND, str(tmp_path / "heard")) as gated:
        eyes.contain(gated.number, "CONTAIN_NETWORK")
        gated.tell()
        wait_for(lambda: stopped(gated.pid))
    assert eyes.seen(gated.number).totals["COUNT_STOPPED"] == 1


def named_by_rules() -> dict[int, str]:
    """Every system call that a rule speaks of."""
    patterns = [re.compile(rule.pattern) for rule in RULES if rule.kinds == SYSCALL]
    return {
        number: name
        for number, name in enumerate(syscalls.NAMES)
        if name and any(pattern.search(name) for pattern in patterns)
    }


def test_each_call_that_a_rule_names_is_told_when_it_is_made(eyes: Eyes) -> None:
    named = named_by_rules()
    with eyes.ways("ask", *named) as gated:
        gated.tell()
        gated.end()
    told = {int(item) for item in eyes.seen(gated.number).items("syscall") if item.isdecimal()}
    assert {named[number] for number in named.keys() - told} == set()


def test_calls_of_the_32_bit_entry_are_told_by_name(eyes: Eyes) -> None:
    with eyes.ways("ask-32-bit", *FOREIGN) as gated:
        gated.tell()
        gated.end()
    foreign = [s.item for s in eyes.seen(gated.number).sightings if "foreign" in s.marks]
    assert {syscalls.name(int(item)) for item in foreign} >= set(FOREIGN.values())
