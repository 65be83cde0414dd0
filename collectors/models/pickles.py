"""What a pickle would import when loaded, read from its opcodes without running one.

Source: the opcode table of Python's own pickletools. A stream that breaks off keeps what it named
until then: unpickling runs that far too.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import IO, cast

# Modules by which a pickle gets a shell, a file, a connection or more code.
DANGEROUS = (
    "os", "posix", "nt", "subprocess", "sys", "socket", "shutil", "runpy", "importlib*", "pty",
    "code", "codeop", "ctypes*", "multiprocessing*", "asyncio*", "http*", "urllib*", "requests*",
    "webbrowser", "pickle", "_pickle", "marshal", "types", "timeit", "cProfile", "pdb", "bdb",
    "pip*", "signal", "threading", "tempfile", "operator", "_operator", "functools",
)  # fmt: skip
DANGEROUS_BUILTINS = frozenset(
    {"eval", "exec", "compile", "open", "__import__", "getattr", "setattr", "breakpoint", "input"}
)
# What the usual savers of weights name; all of it builds values.
HARMLESS = {
    "collections": ("OrderedDict", "defaultdict"),
    "_codecs": ("encode",),
    "builtins": ("set", "frozenset", "slice", "complex", "bytearray", "list", "dict", "tuple"),
    "torch._utils": ("_rebuild_tensor*", "_rebuild_parameter*"),
    "torch": ("*Storage", "Size", "device", "bool", "int*", "uint*", "float*", "bfloat16"),
    "torch.storage": ("*Storage",),
    "numpy.core.multiarray": ("_reconstruct", "scalar"),
    "numpy._core.multiarray": ("_reconstruct", "scalar"),
    "numpy": ("ndarray", "dtype"),
    "joblib.numpy_pickle": ("NumpyArrayWrapper",),
}
OPCODES_MAX = 50_000_000
PIECE_MAX = 256 << 20  # one string or line; a length field may ask for the whole memory


@dataclass(frozen=True, slots=True)
class Imports:
    """Names a stream imports, in order; `broken` says why reading ended before its STOP."""

    names: tuple[str, ...]
    broken: str = ""


def is_dangerous(name: str) -> bool:
    """Return whether no model needs this import."""
    module, _, attribute = name.rpartition(".")
    if module in {"builtins", "__builtin__"}:
        return attribute in DANGEROUS_BUILTINS
    return any(fnmatchcase(module.partition(".")[0], glob) for glob in DANGEROUS)


def is_harmless(name: str) -> bool:
    """Return whether this import only builds values."""
    module, _, attribute = name.rpartition(".")
    return any(fnmatchcase(attribute, glob) for glob in HARMLESS.get(module, ()))


@dataclass(frozen=True, slots=True)
class _Bounded:
    """A stream that refuses to give more than PIECE_MAX at once."""

    stream: IO[bytes]

    def read(self, size: int) -> bytes:
        if size > PIECE_MAX:
            message = f"a piece of {size} bytes"
            raise ValueError(message)
        return self.stream.read(size)

    def readline(self) -> bytes:
        return self.stream.readline(PIECE_MAX)


def imports(stream: IO[bytes]) -> Imports:
    """Return what the pickles in a stream would import, one after another as loaders read them.

    An import whose name is computed is called "?.?". What follows a whole pickle and is none
    itself, as raw tensors do, is left alone.
    """
    names: dict[str, None] = {}
    broken = _one(stream, names)
    while not broken:
        before = len(names)
        broken = _one(stream, names)
        if broken and len(names) == before:
            return Imports(tuple(names))
    return Imports(tuple(names), broken)


def _one(stream: IO[bytes], names: dict[str, None]) -> str:
    """Add the imports of one pickle to `names`; return why it broke off, "" at its STOP."""
    memo: dict[int, str] = {}
    strings: list[str] = ["?", "?"]  # the last two values pushed, "?" when they are no strings
    # genops asks a stream for no more than these two methods.
    bounded = cast("IO[bytes]", _Bounded(stream))
    try:
        for count, (opcode, argument, _) in enumerate(pickletools.genops(bounded)):
            if count > OPCODES_MAX:
                return f"more than {OPCODES_MAX} opcodes"
            _step(opcode.name, argument, names, memo, strings)
    except (ValueError, EOFError, OverflowError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


def _step(
    name: str, argument: object, names: dict[str, None], memo: dict[int, str], strings: list[str]
) -> None:
    if name in {"GLOBAL", "INST"}:
        names[str(argument).replace(" ", ".", 1)] = None
        _push(strings, "?")
    elif name == "STACK_GLOBAL":
        names[".".join(strings)] = None
        _push(strings, "?")
    elif name in {"MEMOIZE", "PUT", "BINPUT", "LONG_BINPUT"}:
        memo[argument if isinstance(argument, int) else len(memo)] = strings[1]
    elif name in {"GET", "BINGET", "LONG_BINGET"}:
        _push(strings, memo.get(argument, "?") if isinstance(argument, int) else "?")
    elif name not in {"PROTO", "FRAME", "STOP"}:
        _push(strings, argument if isinstance(argument, str) else "?")


def _push(strings: list[str], value: str) -> None:
    strings[:] = [strings[1], value]
