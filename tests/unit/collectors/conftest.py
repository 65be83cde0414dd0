"""A host laid out as files: what `/proc` would show, for the real readers to read."""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from collectors.processes import ProcessTable, snapshot

ROOT_CGROUP = "0::/\n"
TCP_HEAD = "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid\n"


@dataclass
class FakeHost:
    """Builds `/proc` entries under a directory, in the formats of proc(5)."""

    root: Path
    sockets: dict[str, dict[int, tuple[str, int]]] = field(default_factory=dict)
    next_inode: int = 1000

    def add(  # noqa: PLR0913 (one argument for each fact of a process)
        self,
        pid: int,
        cmdline: Sequence[str],
        *,
        ppid: int = 1,
        exe: str = "/usr/bin/python3.11",
        comm: str = "",
        start: int = 0,
        threads: int = 1,
        uid: int = 1000,
        cgroup: str = ROOT_CGROUP,
        libraries: Sequence[str] = (),
        maps: Sequence[str] = (),
        files: Sequence[str] = (),
        ports: Sequence[int] = (),
        address: str = "00000000",
        netns: str = "net:[4026531840]",
        flags: int = 0x400000,
        session: int = 1,
    ) -> None:
        directory = self.root / str(pid)
        (directory / "fd").mkdir(parents=True, exist_ok=True)
        (directory / "ns").mkdir(exist_ok=True)
        (directory / "net").mkdir(exist_ok=True)
        name = comm or (exe or cmdline[0]).rpartition("/")[2][:15]
        begun = start or pid * 100
        tail = f"S {ppid} 1 {session} 0 -1 {flags} 10 0 2 0 30 12 0 0 20 0 {threads} 0 {begun} "
        (directory / "stat").write_text(f"{pid} ({name}) {tail}4096000 250 0\n")
        (directory / "cmdline").write_bytes("\0".join(cmdline).encode() + b"\0" if cmdline else b"")
        (directory / "status").write_text(f"Name:\t{name}\nUid:\t{uid}\t{uid}\t{uid}\t{uid}\n")
        (directory / "cgroup").write_text(cgroup)
        (directory / "ns" / "net").symlink_to(netns)
        if exe:
            (directory / "exe").symlink_to(exe)
        lines = [
            f"7f{n:04x}000000-7f{n:04x}200000 r-xp 00000000 fe:00 {9000 + n} {library}"
            for n, library in enumerate(libraries)
        ]
        (directory / "maps").write_text("\n".join([*lines, *maps, ""]))
        table = self.sockets.setdefault(netns, {})
        for port in ports:
            self.next_inode += 1
            table[self.next_inode] = (address, port)
            (directory / "fd" / str(self.next_inode)).symlink_to(f"socket:[{self.next_inode}]")
        for number, file in enumerate(files, start=3):
            (directory / "fd" / str(number)).symlink_to(file)

    def kernel_thread(self, pid: int, comm: str) -> None:
        self.add(pid, [], ppid=2, exe="", comm=comm, flags=0x208040)

    def remove(self, pid: int) -> None:
        for directory, _, names in os.walk(self.root / str(pid), topdown=False):
            for name in names:
                (Path(directory) / name).unlink()
            Path(directory).rmdir()

    def table(self) -> ProcessTable:
        for directory in self.root.iterdir():
            if not directory.name.isdigit():
                continue
            rows = self.sockets.get(str((directory / "ns" / "net").readlink()), {}).items()
            lines = [
                f"{n:4d}: {address}:{port:04X} 00000000:0000 0A 00000000:00000000 00:00000000 "
                f"00000000  0  0 {inode} 1\n"
                for n, (inode, (address, port)) in enumerate(rows)
            ]
            (directory / "net" / "tcp").write_text(TCP_HEAD + "".join(lines))
            (directory / "net" / "tcp6").write_text(TCP_HEAD)
        return snapshot(str(self.root))


@pytest.fixture
def host(tmp_path: Path) -> FakeHost:
    """A host with nothing but systemd."""
    root = tmp_path / "proc"
    root.mkdir()
    found = FakeHost(root)
    found.add(
        1, ["/sbin/init"], ppid=0, exe="/usr/lib/systemd/systemd", uid=0, cgroup="0::/init.scope\n"
    )
    return found
