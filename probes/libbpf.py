"""The few libbpf calls the loader needs, over the distribution's libbpf.so.1.

The only module that uses ctypes. Sources: libbpf 1.1 `libbpf.h`, `btf.h`, `bpf.h`.
"""

from __future__ import annotations

import ctypes as c
import errno
import os
import re
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from probes.errors import ProbeError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_PRINT = c.CFUNCTYPE(c.c_int, c.c_int, c.c_char_p, c.c_void_p)
_WARN: Final = 0
_LOG_BYTES: Final = 1 << 24  # of the verifier: its reason stands at the very end
_KEPT_LINES: Final = 200
# How libbpf says which field a relocation asks for, that the kernel has none such, and which
# program the verifier refused.
_ASKED: Final = b"relo #%d: %s\n"
_NOT_THERE: Final = b"w/ invalid insn\n"
_FIELD: Final = re.compile(r"prog '(\w+)': .* <(\w+)> .* (?:struct|union|enum) (\S+)")
_EXISTS: Final = "field_exists"
_REFUSED: Final = re.compile(r"prog '(\w+)': failed to load: ")
_MESSAGE_BYTES: Final = 1024
# struct bpf_prog_info, include/uapi/linux/bpf.h, as far as verified_insns (5.16).
_INFO_BYTES: Final = 224
_VERIFIED_AT: Final = 216

KERNEL_TYPES: Final = "/sys/kernel/btf/vmlinux"

_SIGNATURES: Final[dict[str, tuple[Any, tuple[Any, ...]]]] = {
    "bpf_object__open_file": (c.c_void_p, (c.c_char_p, c.c_void_p)),
    "bpf_object__load": (c.c_int, (c.c_void_p,)),
    "bpf_object__close": (None, (c.c_void_p,)),
    "bpf_object__next_program": (c.c_void_p, (c.c_void_p, c.c_void_p)),
    "bpf_object__next_map": (c.c_void_p, (c.c_void_p, c.c_void_p)),
    "bpf_program__name": (c.c_char_p, (c.c_void_p,)),
    "bpf_program__section_name": (c.c_char_p, (c.c_void_p,)),
    "bpf_program__set_autoload": (c.c_int, (c.c_void_p, c.c_bool)),
    "bpf_program__autoload": (c.c_bool, (c.c_void_p,)),
    "bpf_program__fd": (c.c_int, (c.c_void_p,)),
    "bpf_program__insn_cnt": (c.c_size_t, (c.c_void_p,)),
    "bpf_program__attach": (c.c_void_p, (c.c_void_p,)),
    "bpf_program__attach_cgroup": (c.c_void_p, (c.c_void_p, c.c_int)),
    "bpf_program__attach_uprobe_opts": (
        c.c_void_p,
        (c.c_void_p, c.c_int, c.c_char_p, c.c_size_t, c.c_void_p),
    ),
    "bpf_link__fd": (c.c_int, (c.c_void_p,)),
    "bpf_link__pin": (c.c_int, (c.c_void_p, c.c_char_p)),
    "bpf_link__destroy": (c.c_int, (c.c_void_p,)),
    "bpf_iter_create": (c.c_int, (c.c_int,)),
    "bpf_map__name": (c.c_char_p, (c.c_void_p,)),
    "bpf_map__fd": (c.c_int, (c.c_void_p,)),
    "bpf_map__is_internal": (c.c_bool, (c.c_void_p,)),
    "bpf_map__set_pin_path": (c.c_int, (c.c_void_p, c.c_char_p)),
    "bpf_map__initial_value": (c.c_void_p, (c.c_void_p, c.POINTER(c.c_size_t))),
    "bpf_map__set_max_entries": (c.c_int, (c.c_void_p, c.c_uint32)),
    "bpf_map__type": (c.c_int, (c.c_void_p,)),
    "bpf_map__key_size": (c.c_uint32, (c.c_void_p,)),
    "bpf_map__value_size": (c.c_uint32, (c.c_void_p,)),
    "bpf_map__max_entries": (c.c_uint32, (c.c_void_p,)),
    "bpf_map__map_flags": (c.c_uint32, (c.c_void_p,)),
    "bpf_map__btf_key_type_id": (c.c_uint32, (c.c_void_p,)),
    "bpf_map__btf_value_type_id": (c.c_uint32, (c.c_void_p,)),
    "bpf_obj_get": (c.c_int, (c.c_char_p,)),
    "bpf_map_create": (c.c_int, (c.c_uint32, c.c_char_p, *[c.c_uint32] * 3, c.c_void_p)),
    "bpf_obj_pin": (c.c_int, (c.c_int, c.c_char_p)),
    "bpf_prog_get_fd_by_id": (c.c_int, (c.c_uint32,)),
    "bpf_map_get_fd_by_id": (c.c_int, (c.c_uint32,)),
    "bpf_btf_get_fd_by_id": (c.c_int, (c.c_uint32,)),
    "bpf_link_create": (c.c_int, (c.c_int, c.c_int, c.c_int, c.c_void_p)),
    "bpf_link_update": (c.c_int, (c.c_int, c.c_int, c.c_void_p)),
    "bpf_obj_get_info_by_fd": (c.c_int, (c.c_int, c.c_void_p, c.c_void_p)),
    "bpf_map_lookup_elem": (c.c_int, (c.c_int, c.c_void_p, c.c_void_p)),
    "bpf_map_update_elem": (c.c_int, (c.c_int, c.c_void_p, c.c_void_p, c.c_uint64)),
    "bpf_map_delete_elem": (c.c_int, (c.c_int, c.c_void_p)),
    "bpf_map_get_next_key": (c.c_int, (c.c_int, c.c_void_p, c.c_void_p)),
    "bpf_map_lookup_batch": (c.c_int, (c.c_int, *[c.c_void_p] * 6)),
    "bpf_map_delete_batch": (c.c_int, (c.c_int, *[c.c_void_p] * 3)),
    "btf__parse": (c.c_void_p, (c.c_char_p, c.c_void_p)),
    "btf__raw_data": (c.c_void_p, (c.c_void_p, c.POINTER(c.c_uint32))),
    "btf__free": (None, (c.c_void_p,)),
    "libbpf_num_possible_cpus": (c.c_int, ()),
    "libbpf_set_print": (c.c_void_p, (_PRINT,)),
}

_lines: list[str] = []
_asked: re.Match[str] | None = None
_unresolved: dict[tuple[str, str], None] = {}  # function and field, in order
_asked_for: set[str] = set()  # fields whose existence a program asks for


def _text(text: bytes, arguments: int, most: int) -> str:
    buffer = c.create_string_buffer(most)
    c.CDLL(None).vsnprintf(buffer, c.c_size_t(most), c.c_char_p(text), c.c_void_p(arguments))
    return buffer.value.decode(errors="replace")


def _keep(level: int, text: bytes, arguments: int) -> int:
    """Keeps libbpf's warnings (the verifier's words among them), and fields it did not find."""
    global _asked  # noqa: PLW0603 - libbpf has one printer per process
    if level == _WARN:
        _lines.extend(_text(text, arguments, _LOG_BYTES).splitlines())
        del _lines[:-_KEPT_LINES]
    elif text.endswith(_ASKED):
        _asked = _FIELD.search(_text(text, arguments, _MESSAGE_BYTES))
        if _asked and _asked[2] == _EXISTS:
            _asked_for.add(_asked[3])
    elif text.endswith(_NOT_THERE) and _asked:
        _unresolved[_asked[1], _asked[3]] = None
    return 0


_keeper = _PRINT(_keep)


@cache
def library() -> Any:  # noqa: ANN401 - ctypes gives its functions no static type
    """libbpf.so.1 with typed entry points.

    Raises:
        ProbeError: the library, or a function that 1.1 has, is not there.
    """
    try:
        lib = c.CDLL("libbpf.so.1", use_errno=True)
        for name, (result, arguments) in _SIGNATURES.items():
            function = getattr(lib, name)
            function.restype = result
            function.argtypes = arguments
    except (OSError, AttributeError) as error:
        raise ProbeError("load libbpf.so.1 (install libbpf1)", str(error)) from error
    lib.libbpf_set_print(_keeper)
    return lib


def messages() -> tuple[str, ...]:
    """What libbpf warned of last, oldest first."""
    return tuple(_lines)


def failed(act: str, code: int | None = None) -> ProbeError:
    """The error for a libbpf call that did not work; `code` is errno unless given."""
    number = abs(code) if code else c.get_errno()
    words = f"{errno.errorcode.get(number, number)}: {os.strerror(number)}"
    return ProbeError(act, words, number=number, details=messages())


def btf_bytes(path: Path) -> bytes:
    """The raw BTF of an object file."""
    lib = library()
    btf = lib.btf__parse(os.fsencode(path), None)
    if not btf:
        raise failed(f"read the BTF of {path}")
    size = c.c_uint32()
    data = lib.btf__raw_data(btf, c.byref(size))
    copy = c.string_at(data, size.value)
    lib.btf__free(btf)
    return copy


def possible_cpus() -> int:
    """How many slots a per-CPU value has."""
    return int(library().libbpf_num_possible_cpus())


class _OpenOptions(c.Structure):
    """struct bpf_object_open_opts of libbpf 1.1, as far as it is set here."""

    _fields_ = (
        ("bytes", c.c_size_t),
        ("object_name", c.c_char_p),
        ("relaxed_maps", c.c_bool),
        ("pin_root_path", c.c_char_p),
        ("reserved", c.c_long),
        ("kconfig", c.c_char_p),
        ("btf_custom_path", c.c_char_p),
    )


class _UprobeOptions(c.Structure):
    """struct bpf_uprobe_opts of libbpf 1.1."""

    _fields_ = (
        ("bytes", c.c_size_t),
        ("ref_ctr_offset", c.c_size_t),
        ("bpf_cookie", c.c_uint64),
        ("retprobe", c.c_bool),
        ("func_name", c.c_char_p),
    )


class Link:
    """One attachment. Pinned, it outlives this process."""

    def __init__(self, pointer: int, name: str) -> None:
        self._pointer = pointer
        self.name = name

    def pin(self, path: Path) -> None:
        """Gives the attachment a name in bpffs."""
        code = library().bpf_link__pin(self._pointer, os.fsencode(path))
        if code:
            raise failed(f"pin {self.name} at {path}", code)

    def close(self) -> None:
        """Closes this handle; the attachment itself stays while it is pinned."""
        library().bpf_link__destroy(self._pointer)


class Object:
    """An opened BPF object: settings, then `load`, then `attach`."""

    def __init__(self, path: Path, types: Path | None = None) -> None:
        """Opens the file; `types`: BTF of another kernel than the running one to fit it to."""
        self._lib = library()
        _lines.clear()
        _unresolved.clear()
        _asked_for.clear()
        options = _OpenOptions(bytes=c.sizeof(_OpenOptions))
        # Named even where it is the running kernel's: else, for a type that this kernel lacks,
        # libbpf goes through all modules, which takes CAP_SYS_ADMIN that the unit does not hold.
        options.btf_custom_path = os.fsencode(types or KERNEL_TYPES)
        self._pointer = self._lib.bpf_object__open_file(os.fsencode(path), c.byref(options))
        if not self._pointer:
            raise failed(f"open {path}")
        self.programs: dict[str, int] = {
            self._lib.bpf_program__name(p).decode(): p
            for p in self._walk(self._lib.bpf_object__next_program)
        }
        self.maps: dict[str, int] = {
            self._lib.bpf_map__name(m).decode(): m
            for m in self._walk(self._lib.bpf_object__next_map)
        }

    def _walk(self, step: Any) -> Iterator[int]:  # noqa: ANN401 - a ctypes function
        item = step(self._pointer, None)
        while item:
            yield item
            item = step(self._pointer, item)

    def section(self, program: str) -> str:
        """The section name, which says the hook."""
        return str(self._lib.bpf_program__section_name(self.programs[program]).decode())

    def instructions(self, program: str) -> int:
        """Length of a program, in BPF instructions."""
        return int(self._lib.bpf_program__insn_cnt(self.programs[program]))

    def verified(self, program: str) -> int:
        """Instructions the verifier processed for a loaded program; 0 before Linux 5.16."""
        info, size = (c.c_ubyte * _INFO_BYTES)(), c.c_uint32(_INFO_BYTES)
        fd = self._lib.bpf_program__fd(self.programs[program])
        code = self._lib.bpf_obj_get_info_by_fd(fd, info, c.byref(size))
        if code:
            raise failed(f"describe {program}", code)
        return int.from_bytes(info[_VERIFIED_AT:_INFO_BYTES][:4], "little")

    def refused(self) -> str | None:
        """After a failed load: the program that the verifier refused, if it was one."""
        named = [found[1] for line in _lines if (found := _REFUSED.search(line))]
        return next(iter(named), None)

    def unresolved(self) -> tuple[str, ...]:
        """After a load: fields that this kernel's types do not have, as "function: struct.field".

        Instructions that read them are poisoned: the verifier minds only if they are reached.
        Left out are fields that the object asks for before it reads them, and parts of those.
        """
        return tuple(
            f"{function}: {name}"
            for function, name in _unresolved
            if not any(f"{name}.".startswith(f"{asked}.") for asked in _asked_for)
        )

    def skip(self, program: str) -> None:
        """Leaves a program out of the load."""
        self._lib.bpf_program__set_autoload(self.programs[program], False)  # noqa: FBT003

    def pin_maps(self, directory: Path) -> None:
        """Every named map is reused from, or pinned in, a directory of bpffs."""
        for name, pointer in self.maps.items():
            if not self._lib.bpf_map__is_internal(pointer):
                self._lib.bpf_map__set_pin_path(pointer, os.fsencode(directory / name))

    def pin_map(self, name: str, path: Path) -> None:
        """One map is reused from, or pinned at, a place of its own."""
        self._lib.bpf_map__set_pin_path(self.maps[name], os.fsencode(path))

    def map_numbers(self, name: str) -> tuple[tuple[int, ...], tuple[int, int]]:
        """Type, bytes of key and value, entries and flags; then its types' numbers in the BTF."""
        lib, pointer = self._lib, self.maps[name]
        asked = (
            lib.bpf_map__type, lib.bpf_map__key_size, lib.bpf_map__value_size,
            lib.bpf_map__max_entries, lib.bpf_map__map_flags,
        )  # fmt: skip
        types = lib.bpf_map__btf_key_type_id(pointer), lib.bpf_map__btf_value_type_id(pointer)
        return tuple(int(ask(pointer)) for ask in asked), (int(types[0]), int(types[1]))

    def program_fd(self, program: str) -> int:
        """The descriptor of a loaded program; the object's own."""
        return int(self._lib.bpf_program__fd(self.programs[program]))

    def set_max_entries(self, name: str, entries: int) -> None:
        """Resizes a map; only before `load`."""
        code = self._lib.bpf_map__set_max_entries(self.maps[name], entries)
        if code:
            raise failed(f"size map {name}", code)

    def initial_value(self, name: str) -> c.Array[c.c_ubyte]:
        """The writable bytes of a data section, only before `load`."""
        size = c.c_size_t()
        pointer = self._lib.bpf_map__initial_value(self.maps[name], c.byref(size))
        if not pointer:
            raise failed(f"reach the settings in {name}")
        return (c.c_ubyte * size.value).from_address(pointer)

    def load(self) -> None:
        """Hands everything to the kernel's verifier."""
        code = self._lib.bpf_object__load(self._pointer)
        if code:
            raise failed("load the probes into the kernel", code)

    def attach(self, program: str, cgroup_fd: int | None = None) -> Link:
        """Attaches by the section's name, or to a cgroup."""
        pointer = self.programs[program]
        if cgroup_fd is None:
            link = self._lib.bpf_program__attach(pointer)
        else:
            link = self._lib.bpf_program__attach_cgroup(pointer, cgroup_fd)
        if not link:
            raise failed(f"attach {program}")
        return Link(link, program)

    def attach_uprobe(self, program: str, path: str, offset: int, cookie: int = 0) -> Link:
        """Attaches to a place in a file, for every process that maps it.

        Args:
            program: Of section `uprobe`, or `uretprobe`: when the function there returns.
            path: Of the file; a magic link of /proc names exactly the file that is open.
            offset: Of the function in the file, bytes.
            cookie: What the program is told of this place (Linux 5.15).
        """
        options = _UprobeOptions(bytes=c.sizeof(_UprobeOptions), bpf_cookie=cookie)
        options.retprobe = self.section(program) == "uretprobe"
        link = self._lib.bpf_program__attach_uprobe_opts(
            self.programs[program], -1, os.fsencode(path), offset, c.byref(options)
        )
        if not link:
            raise failed(f"attach {program} to {path}")
        return Link(link, program)

    def map_fd(self, name: str) -> int:
        """A descriptor of a loaded map, of its own."""
        return os.dup(self._lib.bpf_map__fd(self.maps[name]))

    def close(self) -> None:
        """Frees it; what is pinned stays."""
        self._lib.bpf_object__close(self._pointer)
