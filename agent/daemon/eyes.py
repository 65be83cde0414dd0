"""Every eye with one deed that it claims to see, and what then tells that it saw.

One more eye is one more entry here. A deed is Python that the self-test's own process runs, with
`where` (a directory of its own) and the modules that `deeds` imports; it raises OSError where this
host does not allow it, and that is told instead.
"""

import signal
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from collectors.sightings import Sighting

Tells = Callable[[Sighting, str], bool]
"""Of a sighting and the self-test's directory: whether this eye saw."""


@dataclass(frozen=True, slots=True)
class Eye:
    """One thing a sensor claims to see.

    Attributes:
        name: As the operator reads it.
        deed: Does it once.
        tells: Whether a sighting is of it; None where it is counted and never told.
        counter: Of `enum counter`, where it is counted; `sequences` for those of seven calls.
        programs: Without any of these in the kernel it cannot be seen.
    """

    name: str
    deed: str
    tells: Tells | None = None
    counter: str = ""
    programs: tuple[str, ...] = ("on_sys_exit",)


def _is(kind: str, item: str = "", mark: str = "") -> Tells:
    """A sighting of this kind whose item begins so; `{where}` stands for the directory."""
    return lambda s, where: (
        s.kind == kind
        and s.item.startswith(item.replace("{where}", where))
        and (not mark or mark in s.marks)
    )


_FILES: Final = (
    Eye("file read", 'open(where + "/read").close()', _is("file", "{where}/read")),
    Eye("file write", 'open(where + "/written", "w").close()', _is("write", "{where}/written")),
    Eye(
        "name changed",
        'os.rename(where + "/written", where + "/renamed")',
        _is("write", "{where}/renamed", "renamed-to"),
    ),
    Eye(
        "mode changed",
        'os.chmod(where + "/renamed", 0o755)',
        _is("write", "{where}/renamed", "executable"),
    ),
    Eye("open not allowed", """
try:
    open("/sys/kernel/uevent_seqnum", "w")  # nobody may, root neither
except OSError:
    pass
""", _is("refused-write", "/sys/kernel/uevent_seqnum")),
    Eye("directory listed", "os.listdir(where)", _is("file", "{where}/", "listed")),
    Eye("weights mapped", """
with open(where + "/eye.gguf", "wb") as file:
    file.write(bytes(4096))
with open(where + "/eye.gguf", "rb") as file:
    mmap.mmap(file.fileno(), 4096, mmap.MAP_SHARED, mmap.PROT_READ)
""", _is("model", "{where}/eye.gguf", "mapped")),
    Eye("bytes read", 'open("/proc/self/maps", "rb").read()', counter="COUNT_READ_BYTES"),
    Eye("executable file mapped", """
with open(where + "/library", "wb") as file:
    file.write(bytes(4096))
fd = os.open(where + "/library", os.O_RDONLY)
mmap.mmap(fd, 4096, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_EXEC); os.close(fd)
""", _is("library", "{where}/library")),
    Eye(
        "executable memory",
        "mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_EXEC)",
        _is("library", "anonymous", "anonymous"),
    ),
    Eye("memory made executable", """
libc.mmap.restype = ctypes.c_void_p
page = libc.mmap(None, ctypes.c_size_t(4096), 3, 0x22, -1, ctypes.c_long(0))
if libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(4096), 5):
    raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
""", _is("library", "mprotect", "mprotect")),
)  # fmt: skip

_PROGRAMS: Final = (
    Eye("exec", 'run("/bin/true")', _is("exec", "/"), programs=("on_exec",)),
    Eye(
        "LD_PRELOAD",
        'run("/bin/true", {"LD_PRELOAD": ""})',
        _is("exec", mark="ld-preload"),
        programs=("on_exec",),
    ),
    Eye(
        "program that talks to a socket",
        'one, two = socket.socketpair(); run("/bin/true", stdin=one.fileno())',
        _is("exec", mark="stdio-socket"),
        programs=("on_exec",),
    ),
    Eye("program without a file", """
fd = os.memfd_create("self-test")
with open("/bin/true", "rb") as file:
    os.write(fd, file.read())
copy = os.open(f"/proc/self/fd/{fd}", os.O_RDONLY); os.close(fd); run(copy); os.close(copy)
""", _is("exec", mark="memfd"), programs=("on_exec",)),
    Eye("fork", "child(lambda: None)", counter="COUNT_FORKS", programs=("on_newtask",)),
    Eye("exit", "child(lambda: os._exit(0))", _is("exit"), programs=("on_exit",)),
    Eye("crash", """
def crash():
    import resource
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.kill(os.getpid(), signal.SIGABRT)
child(crash)
""", lambda s, _: s.kind == "exit" and s.status[1] == signal.SIGABRT, programs=("on_exit",)),
    Eye(
        "name change",
        'child(lambda: open("/proc/self/comm", "w").write("eye-of-test"))',
        _is("title", "set-name eye-of-test"),
        programs=("on_rename",),
    ),
    Eye("rights given up", "child(lambda: os.setuid(65534))", _is("privilege")),
    Eye(
        "namespace entered",
        "child(lambda: call(272, 0x04000000))",  # unshare(2), CLONE_NEWUTS
        _is("privilege", "namespace "),
    ),
)  # fmt: skip

_NETWORK: Final = (
    Eye("listen", """
listener = socket.socket(); listener.bind(("127.0.0.1", 0)); listener.listen()
""", _is("listen", "tcp 127.0.0.1:"), programs=("on_tcp_state",)),
    Eye("connect", """
client = socket.create_connection(listener.getsockname())
""", _is("peer", "tcp 127.0.0.1:"), programs=("on_connect4",)),
    Eye("connect not answered", """
gone = socket.socket(); gone.bind(("127.0.0.1", 0)); nobody = gone.getsockname(); gone.close()
socket.socket().connect_ex(nobody)
""", _is("refused", "tcp 127.0.0.1:"), programs=("on_tcp_state",)),
    Eye("accept", "served, _ = listener.accept()", _is("peer", "accept tcp 127.0.0.1")),
    Eye("bytes sent", """
client.sendall(b"x"); served.recv(1)
""", counter="COUNT_SENT_INITIATED", programs=("on_egress",)),
    Eye("bytes received", """
served.sendall(b"x"); client.recv(1)
""", counter="COUNT_RECEIVED", programs=("on_ingress",)),
    Eye("request", """
client.sendall(b"GET /self-test HTTP/1.1\\r\\nHost: x\\r\\n\\r\\n"); served.recv(100)
served.sendall(b"HTTP/1.1 204 No Content\\r\\n\\r\\n"); client.recv(100)
""", _is("request", "GET /self-test"), programs=("on_ingress",)),
    Eye("answer", "pass", counter="COUNT_ANSWERED", programs=("on_egress",)),
    Eye("datagram", """
socket.socket(type=socket.SOCK_DGRAM).sendto(b"", ("127.0.0.1", 9))
""", _is("peer", "udp 127.0.0.1:9"), programs=("on_sendmsg4",)),
    Eye("datagrams awaited", """
socket.socket(type=socket.SOCK_DGRAM).bind(("127.0.0.1", 0))
""", _is("listen", "udp 127.0.0.1:"), programs=("on_bind4",)),
    Eye("connect over IPv6", """
six = socket.socket(socket.AF_INET6); six.bind(("::1", 0)); six.listen()
socket.create_connection(six.getsockname()[:2])
""", _is("peer", "tcp [::1]:"), programs=("on_connect6",)),
    Eye("unix socket", """
local = socket.socket(socket.AF_UNIX); local.bind(where + "/socket"); local.listen()
socket.socket(socket.AF_UNIX).connect(where + "/socket")
""", _is("peer", "unix {where}/socket")),
    Eye("host name asked for", r"""
asking = socket.socket(type=socket.SOCK_DGRAM); asking.connect(("127.0.0.53", 53))
asking.send(struct.pack(">6H", 17, 256, 1, 0, 0, 0) + b"\x09self-test\x07invalid\0\0\1\0\1")
""", _is("name", "self-test.invalid"), programs=("on_egress",)),
)  # fmt: skip

_CALLS: Final = (
    Eye("sequences of calls", "os.getppid()", counter="sequences"),
    Eye("sensitive call", 'os.close(os.memfd_create("self-test"))', _is("syscall", "319")),
    Eye(
        "signal to another process",
        "os.kill(os.getppid(), signal.SIGCONT)",  # to the agent, which runs: nothing comes of it
        _is("signal", "kill SIGCONT"),
        programs=("on_signal",),
    ),
    Eye("user stack", 'open(where + "/stacked", "w").close()', _is("stack")),
    Eye("System V shared memory", """
segment = call(29, 0, 4096, 0o600)
address = call(30, segment, 0, 0); call(31, segment, 0, 0); call(67, address)
""", _is("shared", "sysv shm")),
    Eye("32-bit entry", """
page = mmap.mmap(-1, 4096, prot=7)
page.write(bytes.fromhex("53b814000000cd805bc3"))  # push rbx; mov eax,20; int 0x80; pop rbx; ret
at = ctypes.addressof(ctypes.c_char.from_buffer(page))
if child(lambda: (ctypes.CFUNCTYPE(ctypes.c_int)(at)(), os._exit(0))):
    raise OSError(38, "this kernel has no 32-bit entry")
""", _is("syscall", mark="foreign")),
    Eye("io_uring", """
shape = ctypes.create_string_buffer(120)
ring = call(425, 1, ctypes.addressof(shape))
offsets = struct.unpack_from("10I", shape.raw, 40)  # struct io_sqring_offsets
flags = mmap.MAP_SHARED | mmap.MAP_POPULATE
rings = mmap.mmap(ring, 4096, flags)
entries = mmap.mmap(ring, 4096, flags, offset=0x10000000)
entries[:64] = bytes(64)  # IORING_OP_NOP
struct.pack_into("I", rings, offsets[6], 0); struct.pack_into("I", rings, offsets[1], 1)
call(426, ring, 1, 1, 1, 0, 0); os.close(ring)
""", _is("syscall", "512"), programs=("on_ring_submit", "on_ring_submit_sqe")),
)  # fmt: skip

EYES: Final = (*_FILES, *_PROGRAMS, *_NETWORK, *_CALLS)


def deeds() -> list[tuple[str, str]]:
    """Every deed by its eye, in the order in which they are done."""
    return [(eye.name, eye.deed) for eye in EYES]


def found(sightings: Iterable[Sighting], counts: Mapping[str, int], where: str) -> dict[str, bool]:
    """By eye, whether it saw."""
    told = list(sightings)
    return {
        eye.name: any(eye.tells(s, where) for s in told)
        if eye.tells is not None
        else counts.get(eye.counter, 0) > 0
        for eye in EYES
    }


def findings(
    saw: Mapping[str, bool],
    failed: Mapping[str, str],
    links: Iterable[str],
    losses: Mapping[str, int],
) -> list[dict[str, Any]]:
    """Each eye as the doctor shows it: name, state, words, fix.

    Args:
        saw: By eye.
        failed: Deeds that this host did not allow, with its words.
        links: Programs in the kernel.
        losses: Of the self-test's own records and counts, by reason.
    """
    return [_finding(eye, saw[eye.name], failed, set(links), losses) for eye in EYES]


def _finding(
    eye: Eye,
    saw: bool,  # noqa: FBT001 - of this one eye
    failed: Mapping[str, str],
    links: set[str],
    losses: Mapping[str, int],
) -> dict[str, Any]:
    plain = {"name": f"live: {eye.name}", "state": "ok", "words": "seen", "fix": ""}
    if saw:
        return plain
    if eye.name in failed:
        return plain | {"words": f"not tried: this host does not do it ({failed[eye.name]})"}
    why = "done by the self-test, and not seen"
    fix = "see `agent doctor` for what this kernel refuses, and the agent's log"
    if not links & set(eye.programs):
        why = f"{why}: {eye.programs[0]} is not in the kernel"
    elif losses:
        lost = ", ".join(f"{reason} {count}" for reason, count in losses.items())
        why, fix = f"{why}: records or counts were lost ({lost})", "try again when the host is calm"
    return plain | {"state": "missing", "words": why, "fix": fix}
