"""Names the addresses of user stacks: a question each on standard input, an answer on output.

A program of its own: BCC brings a compiler with it and reads the symbol tables of large
libraries. It ends when its input ends. Without bcc it still finds skipped callers, and the agent
shows module and offset.
"""

import os
import resource
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from mmap import ACCESS_READ, mmap
from pathlib import Path
from typing import Any, Final

import msgpack

from agent.stacks.modules import Mapping, Modules
from agent.stacks.unwind import FrameInformation, Rule, UnwindError, callers

NICE: Final = 10
OOM_SCORE: Final = 500
DATA_BYTES: Final = 1 << 30
"""Private memory: symbol tables of the largest libraries of machine learning, and room."""

Name = Callable[[int], str]


class Process:
    """One process whose stack is asked about."""

    def __init__(self, pid: int, modules: Modules) -> None:
        """Read nothing yet."""
        self._pid, self._modules = pid, modules
        self._files = ExitStack()
        self._information = cache(self._read)

    def stack(self, chain: list[int], words: list[int]) -> list[int]:
        """The addresses of the calls, newest first."""
        with self._files:
            return callers(chain, words, self._is_code, self._rule)

    def _is_code(self, address: int) -> bool:
        return self._modules.find(address) is not None

    def _rule(self, address: int) -> Rule:
        found = self._modules.find(address)
        if found is None:
            raise UnwindError("no code")
        information = self._information(found)
        return information.rule(information.address(found.place(address - 1)))

    def _read(self, mapping: Mapping) -> FrameInformation:
        path = Path(f"/proc/{self._pid}/root{mapping.path}")
        if not mapping.path.startswith("/"):
            raise UnwindError("no file")
        try:
            file = self._files.enter_context(path.open("rb"))
            data = self._files.enter_context(mmap(file.fileno(), 0, access=ACCESS_READ))
        except (OSError, ValueError) as error:
            raise UnwindError("no file") from error
        return FrameInformation(data)


def _names(pid: int) -> Name:
    """How an address of a process is named; empty where it is not."""
    try:
        from bcc import SymbolCache  # noqa: PLC0415 - optional, and a second to import
    except ImportError:
        return lambda _: ""
    symbols = SymbolCache(pid)

    def name(address: int) -> str:
        symbol, offset, module = symbols.resolve(address, True)  # noqa: FBT003 - its signature
        if not symbol or not module:
            return ""
        return f"{symbol.decode('utf-8', 'replace')}+{offset:#x}"

    return name


def answer(question: dict[str, Any]) -> list[Any]:
    """The question's number, and for each frame its address and symbol."""
    modules = Modules([Mapping(*one) for one in question["modules"]])
    pid = question["pid"]
    addresses = Process(pid, modules).stack(question["chain"], question["words"])
    name = _names(pid)
    # A return address is behind its call: the byte before it belongs to the caller for sure.
    return [question["number"], [[a, name(a - 1 if n else a)] for n, a in enumerate(addresses)]]


def main() -> None:
    """Answer until the daemon goes away."""
    os.nice(NICE)
    Path("/proc/self/oom_score_adj").write_text(str(OOM_SCORE), encoding="ascii")
    resource.setrlimit(resource.RLIMIT_DATA, (DATA_BYTES, DATA_BYTES))
    out = os.dup(1)
    os.dup2(2, 1)  # libbcc speaks on it
    unpacker = msgpack.Unpacker(use_list=True)
    while data := os.read(0, 65_536):
        unpacker.feed(data)
        for question in unpacker:
            left = memoryview(msgpack.packb(answer(question)))
            while left:
                left = left[os.write(out, left) :]


if __name__ == "__main__":
    main()
