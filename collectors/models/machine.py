"""Goes through a pickle's opcodes with stand-ins for what they would build.

It tells which names are called with what, and where a loader takes bytes out of the stream that are
no pickle: joblib writes arrays between opcodes.
"""

from __future__ import annotations

import math
import pickletools
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO, Any, ClassVar, Final

from collectors.models.names import COMPUTED, Name

_KEPT_MAX: Final = 64  # items of a list or table that are remembered; only shown, or a wrapper's
_SHOWN_MAX: Final = 200  # characters of a call shown to people
_STACK_MAX: Final = 10_000_000
_SKIP: Final = 1 << 20
_RECONSTRUCT: Final = frozenset(
    {Name("copyreg", "_reconstructor"), Name("copy_reg", "_reconstructor")}
)
_WRAPPER: Final = Name("joblib.numpy_pickle", "NumpyArrayWrapper")
_DTYPE: Final = re.compile(r"[<>|=]?([?a-zA-Z])(\d*)")


class BrokenPickleError(Exception):
    """The stream asks for what no saver writes."""


class _Unknown:
    """A value not followed."""

    def __repr__(self) -> str:
        return "…"


_UNKNOWN: Final = _Unknown()
_MARK: Final = object()
_CONSTANTS: Final = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False, "EMPTY_TUPLE": ()}


@dataclass(slots=True)
class _Made:
    """What calling a name would return."""

    name: object
    arguments: object

    def __repr__(self) -> str:
        shown = self.arguments if isinstance(self.arguments, tuple) else (self.arguments,)
        return f"{self.name}({', '.join(map(repr, shown))})"


@dataclass(slots=True)
class Machine:
    """Steps through one pickle; `names` gains each import and its first call."""

    names: dict[Name, str]
    stream: IO[bytes]
    wants_pickle: bool = False  # an object array follows: another pickle in the same stream
    _stack: list[Any] = field(default_factory=list)
    _memo: dict[int, Any] = field(default_factory=dict)

    def step(self, opcode: pickletools.OpcodeInfo, argument: object) -> None:
        """Do one opcode.

        Raises:
            BrokenPickleError, EOFError: The stream cannot go on.
        """
        handler = self._handlers.get(opcode.name)
        if handler is not None:
            handler(self, argument)
            return
        if pickletools.markobject in opcode.stack_before:
            self._to_mark()
            for _ in range(opcode.stack_before.index(pickletools.markobject)):
                self._pop()
        else:
            for _ in opcode.stack_before:
                self._pop()
        for _ in opcode.stack_after:
            self._push(_CONSTANTS.get(opcode.name, _UNKNOWN) if argument is None else argument)

    def _push(self, value: object) -> None:
        if len(self._stack) > _STACK_MAX:
            message = "a stack of unusual depth"
            raise BrokenPickleError(message)
        self._stack.append(value)

    def _pop(self) -> Any:  # noqa: ANN401 (any stand-in)
        # An unpickler fails on an empty stack; going on shows what else the stream names.
        return self._stack.pop() if self._stack else _UNKNOWN

    def _to_mark(self) -> list[Any]:
        taken: list[Any] = []
        while self._stack and (value := self._stack.pop()) is not _MARK:
            taken.append(value)
        return taken[::-1]

    def _import(self, name: Name) -> Name:
        self.names.setdefault(name, "")
        return name

    def _call(self, function: object, arguments: object) -> None:
        if isinstance(function, Name) and function in _RECONSTRUCT and isinstance(arguments, tuple):
            function = arguments[0] if arguments else function
        made = _Made(function, arguments)
        if isinstance(function, Name) and not self.names.get(function):
            self.names[function] = _shown(made)
        self._push(made)

    def _global(self, argument: object) -> None:
        module, _, attribute = str(argument).partition(" ")
        self._push(self._import(Name(module, attribute)))

    def _stack_global(self, _argument: object) -> None:
        attribute, module = self._pop(), self._pop()
        names = (n if isinstance(n, str) else COMPUTED for n in (module, attribute))
        self._push(self._import(Name(*names)))

    def _extension(self, argument: object) -> None:
        # The registry of numbers belongs to the process that loads; its entries are not told here.
        self._push(self._import(Name("copyreg extension", str(argument))))

    def _instance(self, argument: object) -> None:
        module, _, attribute = str(argument).partition(" ")
        arguments = tuple(self._to_mark())
        self._call(self._import(Name(module, attribute)), arguments)

    def _object(self, _argument: object) -> None:
        taken = self._to_mark()
        self._call(taken[0] if taken else _UNKNOWN, tuple(taken[1:]))

    def _reduce(self, _argument: object) -> None:
        arguments, function = self._pop(), self._pop()
        self._call(function, arguments)

    def _new_ex(self, _argument: object) -> None:
        _, arguments, function = self._pop(), self._pop(), self._pop()
        self._call(function, arguments)

    def _build(self, _argument: object) -> None:
        state = self._pop()
        made = self._stack[-1] if self._stack else None
        if isinstance(made, _Made) and made.name == _WRAPPER and isinstance(state, dict):
            self._skip_array(state)

    def _mark(self, _argument: object) -> None:
        self._push(_MARK)

    def _tuple(self, _argument: object) -> None:
        self._push(tuple(self._to_mark()))

    def _short_tuple(self, count: int) -> None:
        self._push(tuple(self._pop() for _ in range(count))[::-1])

    def _tuple1(self, _argument: object) -> None:
        self._short_tuple(1)

    def _tuple2(self, _argument: object) -> None:
        self._short_tuple(2)

    def _tuple3(self, _argument: object) -> None:
        self._short_tuple(3)

    def _empty_list(self, _argument: object) -> None:
        self._push([])

    def _empty_table(self, _argument: object) -> None:
        self._push({})

    def _list(self, _argument: object) -> None:
        self._push(self._to_mark()[:_KEPT_MAX])

    def _append(self, _argument: object) -> None:
        self._extend([self._pop()])

    def _appends(self, _argument: object) -> None:
        self._extend(self._to_mark())

    def _extend(self, values: list[Any]) -> None:
        if self._stack and isinstance(kept := self._stack[-1], list):
            kept += values[: _KEPT_MAX - len(kept)]

    def _table(self, _argument: object) -> None:
        table: dict[str, Any] = {}
        _fill(table, self._to_mark())
        self._push(table)

    def _set_item(self, _argument: object) -> None:
        value, key = self._pop(), self._pop()
        self._fill_top([key, value])

    def _set_items(self, _argument: object) -> None:
        self._fill_top(self._to_mark())

    def _fill_top(self, pairs: list[Any]) -> None:
        if self._stack and isinstance(self._stack[-1], dict):
            _fill(self._stack[-1], pairs)

    def _put(self, argument: object) -> None:
        number = int(argument) if isinstance(argument, int | str) else len(self._memo)
        self._memo[number] = self._stack[-1] if self._stack else _UNKNOWN

    def _get(self, argument: object) -> None:
        self._push(self._memo.get(int(str(argument)), _UNKNOWN))

    def _duplicate(self, _argument: object) -> None:
        self._push(self._stack[-1] if self._stack else _UNKNOWN)

    def _skip_array(self, state: dict[str, Any]) -> None:
        """Pass over the bytes joblib's NumpyArrayWrapper.read_array would take."""
        size = _item_size(state.get("dtype"))
        if size is None:
            self.wants_pickle = True
            return
        shape = state.get("shape")
        if not isinstance(shape, tuple) or not all(isinstance(n, int) and n >= 0 for n in shape):
            message = "an array of unknown shape"
            raise BrokenPickleError(message)
        if state.get("numpy_array_alignment_bytes") is not None:
            padding = self.stream.read(1)
            self._skip(padding[0] if padding else 1)
        self._skip(math.prod(shape) * size)

    def _skip(self, size: int) -> None:
        while size > 0:
            piece = self.stream.read(min(size, _SKIP))
            if not piece:
                message = "an array breaks off"
                raise EOFError(message)
            size -= len(piece)

    _handlers: ClassVar[dict[str, Callable[[Machine, Any], None]]] = {
        "GLOBAL": _global,
        "STACK_GLOBAL": _stack_global,
        "EXT1": _extension,
        "EXT2": _extension,
        "EXT4": _extension,
        "INST": _instance,
        "OBJ": _object,
        "REDUCE": _reduce,
        "NEWOBJ": _reduce,
        "NEWOBJ_EX": _new_ex,
        "BUILD": _build,
        "MARK": _mark,
        "TUPLE": _tuple,
        "TUPLE1": _tuple1,
        "TUPLE2": _tuple2,
        "TUPLE3": _tuple3,
        "EMPTY_LIST": _empty_list,
        "LIST": _list,
        "APPEND": _append,
        "APPENDS": _appends,
        "EMPTY_DICT": _empty_table,
        "DICT": _table,
        "SETITEM": _set_item,
        "SETITEMS": _set_items,
        "MEMOIZE": _put,
        "PUT": _put,
        "BINPUT": _put,
        "LONG_BINPUT": _put,
        "GET": _get,
        "BINGET": _get,
        "LONG_BINGET": _get,
        "DUP": _duplicate,
    }


def _fill(table: dict[str, Any], pairs: list[Any]) -> None:
    for key, value in zip(pairs[::2], pairs[1::2], strict=False):
        if isinstance(key, str) and len(table) < _KEPT_MAX:
            table[key] = value


def _item_size(dtype: object) -> int | None:
    """Return the bytes of one item of a numpy.dtype stand-in; None for Python objects."""
    code = dtype.arguments[0] if isinstance(dtype, _Made) and dtype.arguments else None  # type: ignore[index]
    found = _DTYPE.fullmatch(code) if isinstance(code, str) else None
    if found is None:
        message = "an array of unknown type"
        raise BrokenPickleError(message)
    kind, size = found[1], int(found[2] or 1)
    if kind == "O":
        return None
    return size * 4 if kind == "U" else size


def _shown(made: _Made) -> str:
    try:
        text = repr(made)
    except RecursionError:
        return f"{made.name}(…)"
    return text if len(text) <= _SHOWN_MAX else text[:_SHOWN_MAX] + "…"
