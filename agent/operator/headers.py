"""Kernel headers for BCC where the host has none: made of the kernel's own BTF, once a kernel."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_BTF: Final = Path("/sys/kernel/btf/vmlinux")
_KHEADERS: Final = Path("/sys/kernel/kheaders.tar.xz")
_PROGRAMS: Final = ("/usr/sbin/bpftool", "/usr/local/sbin/bpftool", "bpftool")
_DUMP_S: Final = 60.0
_INCLUDE: Final = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]([\w./-]+)[>"]', re.MULTILINE)
_OWN: Final = re.compile(r"^#pragma clang attribute .*$", re.MULTILINE)

_STUBS: Final = (
    "uapi/linux/bpf.h",
    "uapi/linux/if_packet.h",
    "uapi/linux/ptrace.h",
    "linux/version.h",
    "linux/log2.h",
    "asm/page.h",
)
"""What BCC's own helpers.h asks for (0.26 to 0.30); their types are in the BTF."""

_KCONFIG: Final = """\
#pragma once
/* The types of these are in vmlinux.h; BCC carries copies of its own behind the same guards. */
#define _UAPI__LINUX_BPF_H__
#define __LINUX_BPF_H__
#define _UAPI__LINUX_BPF_COMMON_H__
#define CONFIG_BPF_SYSCALL 1
#define KERNEL_VERSION(a, b, c) (((a) << 16) + ((b) << 8) + ((c) > 255 ? 255 : (c)))
#define LINUX_VERSION_CODE KERNEL_VERSION({version})
#define NULL ((void *)0)
#define __always_inline inline __attribute__((always_inline))
#define offsetof(type, member) __builtin_offsetof(type, member)
#include <generated/vmlinux.h>
"""


class HeadersError(Exception):
    """Why there are no headers, in words."""


def installed() -> bool:
    """Whether BCC finds headers of the running kernel by itself."""
    modules = Path("/lib/modules", os.uname().release)
    return any((modules / name).exists() for name in ("build", "source")) or _KHEADERS.exists()


def tree(cache: Path, btf: Path = _BTF) -> Path:
    """The header tree of the running kernel under `cache`, made if it is not there yet.

    Raises:
        HeadersError: There is no BTF, or no bpftool to read it with.
    """
    try:
        digest = hashlib.sha256(btf.read_bytes()).hexdigest()[:32]
    except OSError as error:
        raise HeadersError(f"no kernel headers, and {btf} cannot be read") from error
    place = cache / digest
    if not place.is_dir():
        cache.mkdir(parents=True, exist_ok=True, mode=0o700)
        with tempfile.TemporaryDirectory(dir=cache, prefix="new-") as fresh:
            _write(Path(fresh), _dump(btf))
            _settle(Path(fresh), place)
        for old in cache.iterdir():
            if old != place and not old.name.startswith("new-"):
                shutil.rmtree(old, ignore_errors=True)  # of a kernel that is not booted any more
    return place


def add_stubs(place: Path, source: str) -> None:
    """Make an empty file of every header that a source includes and the tree has not."""
    _stub(place, (name for name in _INCLUDE.findall(source) if ".." not in name))


def _settle(fresh: Path, place: Path) -> None:
    try:
        (fresh / "tree").rename(place)
    except OSError:
        if not place.is_dir():  # else another worker was first, with the same
            raise


def _dump(btf: Path) -> str:
    program = next((found for name in _PROGRAMS if (found := shutil.which(name))), None)
    if program is None:
        raise HeadersError("no kernel headers, and no bpftool to make them of BTF: install either")
    command = [program, "btf", "dump", "file", str(btf), "format", "c"]
    try:
        done = subprocess.run(command, capture_output=True, timeout=_DUMP_S, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise HeadersError(f"bpftool made no headers of {btf}: {error}") from error
    # Relocation is CO-RE's; BCC compiles for this kernel alone and has no use for it.
    return _OWN.sub("", done.stdout.decode())


def _write(fresh: Path, types: str) -> None:
    include = fresh / "tree" / "include"
    (include / "generated").mkdir(parents=True)
    (include / "linux").mkdir()
    (include / "generated" / "vmlinux.h").write_text(types)
    numbers = re.findall(r"\d+", os.uname().release)[:3]
    version = ", ".join([*numbers, "0", "0"][:3])
    (include / "linux" / "kconfig.h").write_text(_KCONFIG.format(version=version))
    _stub(fresh / "tree", _STUBS)


def _stub(place: Path, names: Iterable[str]) -> None:
    for name in names:
        path = place / "include" / name
        if not path.exists() and not name.startswith("bcc/"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
