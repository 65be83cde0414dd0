"""Looks into one model file by its content: names and suffixes are what an attacker chooses."""

from __future__ import annotations

import io
import mmap
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path, PurePath
from typing import IO, Final

from collectors.models import archives, arrays, configs, gguf, onnx, streams, tensors
from collectors.models.findings import Finding, Severity
from collectors.models.names import Name, is_dangerous, is_harmless
from collectors.models.pickles import read_pickles
from collectors.models.place import Place

_HEAD: Final = 512  # up to and with the magic of a tar
_CHUNK: Final = 1 << 20
_OVERLAP: Final = 64  # longer than what is searched for
_PICKLE_SUFFIXES: Final = frozenset(
    {".pkl", ".pickle", ".pt", ".pth", ".ckpt", ".joblib", ".dill", ".p"}
)
_TARS: Final = (".tar", ".nemo", ".tgz", ".tar.gz", ".tar.bz2", ".tar.xz")
_PACKED_SUFFIXES: Final = frozenset({".gz", ".z", ".bz2", ".xz", ".lzma"})
# A loader that wants a pickle or a zip finds something else: a way to stop scanners.
_FOREIGN: Final = ((b"7z\xbc\xaf\x27\x1c", "7z"), (b"Rar!", "rar"), (b"\x04\x22\x4d\x18", "lz4"),
                   (b"\x28\xb5\x2f\xfd", "zstd"))  # fmt: skip
_ZIP: Final = (b"PK\x03\x04", b"PK\x05\x06")  # a pickle may begin with PK, too
_TEXT_PICKLE: Final = re.compile(
    rb"[(\]})lda0N]*(?:[ci][A-Za-z_][\w.]*\r?\n[A-Za-z_][\w.]*\r?\n|[SVX][^\n]{0,300}\n)"
)
"""How protocol 0 begins, which is plain text: an import, or a text that comes before one."""
_START_LINE: Final = re.compile(rb"(?:^|\n)import[ \t]")  # as site.addpackage wants it
_PROTOCOLS: Final = tuple(bytes((0x80, version)) for version in range(2, 6))
_LAMBDA: Final = re.compile(rb'"class_name"\s*:\s*"(?:Lambda|__lambda__)"')
_OPERATORS: Final = re.compile(rb"\b(WriteFile|ReadFile|MatchingFiles|PyFunc|EagerPyFunc)\b")


def scan_path(path: Path) -> list[Finding]:
    """Return what is wrong with a model file; empty when nothing was found.

    A file that cannot be read, or breaks off, is a finding and never a pass.
    """
    place = Place(path)
    try:
        with path.open("rb") as stream:
            return list(look(place, stream, path.stat().st_size))
    except OSError as error:
        words = f"could not be read: {error.strerror or error}"
        return [place.finding("unread", Severity.WARNING, words)]


def look(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    """Yield what is wrong with `size` bytes that begin here; archives come back to it."""
    try:
        yield from _look(place, stream, size)
    except streams.BROKEN as error:
        words = f"it breaks off: {str(error) or type(error).__name__}"
        yield place.finding("broken", Severity.WARNING, words)


def _look(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    """Look by content; raises one of streams.BROKEN, which tells an archive to read otherwise."""
    head = stream.read(_HEAD)
    stream.seek(0)
    if head.startswith(_ZIP):
        yield from archives.scan_zip(place, stream, _look)
        return
    yield from _by_kind(place, stream, head, size)
    if not place.part and archives.ends_as_zip(stream):
        # Loaders of archives look at the end, those of all else at the beginning.
        words = "it begins as something else and ends as an archive"
        yield place.finding("wrong-format", Severity.WARNING, words)
        yield from archives.scan_zip(place, stream, _look)


def _by_kind(place: Place, stream: IO[bytes], head: bytes, size: int) -> Iterator[Finding]:
    suffix = place.name.suffix.lower()
    if head[257:262] == b"ustar" or place.name.name.lower().endswith(_TARS):
        yield from archives.scan_tar(place, stream, _look)
    elif head.startswith(gguf.MAGIC):
        yield from _gguf(place, stream, size)
    elif head.startswith(arrays.MAGIC):
        yield from _array(place, stream, size)
    elif head.startswith(b"\x89HDF\r\n\x1a\n") or suffix == ".pb":
        yield from _searched(place, stream)
    elif tensors.begins_as_header(head):
        yield from _tensors(place, stream, size)
    elif head.startswith(_PROTOCOLS) and (suffix in _NAMED or configs.is_config(place.name.name)):
        words = f"it is called {place.name.name} and is a pickle"
        yield place.finding("wrong-format", Severity.WARNING, words)
        yield from _pickle(place, stream, certain=True)
    elif suffix in _NAMED:
        yield from _NAMED[suffix](place, stream, size)
    elif configs.is_config(place.name.name):
        yield from _config(place, stream, size)
    else:
        yield from _pickle_like(place, stream, head, suffix)


def _pickle_like(place: Place, stream: IO[bytes], head: bytes, suffix: str) -> Iterator[Finding]:
    wants = suffix in _PICKLE_SUFFIXES
    foreign = next((name for magic, name in _FOREIGN if head.startswith(magic)), "")
    if foreign and (wants or suffix in {".bin", ""}):
        words = f"it is packed as {foreign}, which this scan does not unpack"
        yield place.finding("unread", Severity.WARNING, words)
    elif suffix == ".pth" and _START_LINE.search(head):
        words = "its lines begin with import: Python runs them when it lies beside packages"
        yield place.finding("start-code", Severity.DANGER, words)
    elif (inner := streams.unpacked(stream, head)) is not None:
        yield from _unpacked(place, inner, stream, certain=wants)
    elif wants or suffix == ".bin" or head.startswith(_PROTOCOLS) or _TEXT_PICKLE.match(head):
        # Raw storages and foreign .bin files may begin as a pickle does; then only names count.
        yield from _pickle(place, stream, certain=wants or _is_whole_pickle(place, head))


def _unpacked(
    place: Place, inner: IO[bytes], stream: IO[bytes], *, certain: bool
) -> Iterator[Finding]:
    try:
        start = inner.read(_HEAD)
    except streams.BROKEN:
        if certain:
            raise
        return  # it only began as compressed streams do
    stream.seek(0)
    if start[257:262] == b"ustar":
        yield from archives.scan_tar(place, stream, _look)
        return
    again = streams.unpacked(stream, _start(stream))
    if again is not None:
        yield from _pickle(place, again, certain=certain)


def _start(stream: IO[bytes]) -> bytes:
    head = stream.read(_HEAD)
    stream.seek(0)
    return head


def _is_whole_pickle(place: Place, head: bytes) -> bool:
    return head.startswith(_PROTOCOLS) and not place.part


def _pickle(place: Place, stream: IO[bytes], *, certain: bool) -> Iterator[Finding]:
    found = read_pickles(stream)
    dangerous = {name: call for name, call in found.names.items() if is_dangerous(name)}
    unknown = {n: c for n, c in found.names.items() if n not in dangerous and not is_harmless(n)}
    if dangerous:
        yield place.finding("pickle-danger", Severity.DANGER, f"loading it {_does(dangerous)}")
    if unknown:
        yield place.finding("pickle-unknown", Severity.WARNING, f"loading it {_does(unknown)}")
    if found.broken and (certain or found.names):
        words = f"breaks off, after it may have run: {found.broken}"
        yield place.finding("broken", Severity.WARNING, words)
    if not (dangerous or unknown or found.broken) and (certain or found.names):
        words = "its format can carry code; what it names now only builds values"
        yield place.finding("pickle-present", Severity.NOTICE, words)


def _does(names: Mapping[Name, str]) -> str:
    calls = [call for call in names.values() if call]
    imports = [str(name) for name, call in names.items() if not call]
    parts = [f"calls {', '.join(calls)}"] if calls else []
    return " and ".join([*parts, f"imports {', '.join(imports)}"] if imports else parts)


def _array(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    header = arrays.read_header(stream, size)
    if header.problem:
        yield place.finding("broken", Severity.WARNING, header.problem)
    if header.objects:
        words = "numpy.load unpickles it when allow_pickle is set"
        yield place.finding("array-objects", Severity.NOTICE, words)
        yield from _pickle(place, stream, certain=True)


def _tensors(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    if problem := tensors.header_problem(stream, size):
        yield place.finding("safetensors-header", Severity.WARNING, problem)


def _gguf(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    if stream.read(4) != gguf.MAGIC:
        yield place.finding("gguf-header", Severity.WARNING, "it does not begin as GGUF does")
        return
    stream.seek(0)
    header = gguf.read_header(stream, size)
    if header.problem:
        yield place.finding("gguf-header", Severity.WARNING, header.problem)
    for key, text in header.templates.items():
        yield from configs.template(place, text, key)


def _searched(place: Place, stream: IO[bytes]) -> Iterator[Finding]:
    """HDF5 and TensorFlow graphs, looked through for the few words that matter."""
    tail = b""
    operators: set[str] = set()
    found_lambda = False
    while piece := stream.read(_CHUNK):
        data = tail + piece
        found_lambda = found_lambda or bool(_LAMBDA.search(data))
        operators |= {match.decode() for match in _OPERATORS.findall(data)}
        tail = data[-_OVERLAP:]
    if found_lambda:
        words = "a Lambda layer is Python bytecode"
        yield place.finding("keras-lambda", Severity.DANGER, words)
    if operators:
        words = f"its graph has {', '.join(sorted(operators))}"
        yield place.finding("graph-operator", Severity.WARNING, words)


def _config(place: Place, stream: IO[bytes], size: int) -> Iterator[Finding]:
    if size > configs.TEXT_MAX:
        words = f"a configuration of {size} bytes is not read"
        yield place.finding("unfinished", Severity.WARNING, words)
        return
    yield from configs.read_config(place, place.name.name, stream.read(configs.TEXT_MAX))


def _onnx(place: Place, stream: IO[bytes], _size: int) -> Iterator[Finding]:
    try:
        found = onnx.references(_whole(stream))
    except onnx.OnnxError as error:
        yield place.finding("broken", Severity.WARNING, f"no ONNX model: {error}")
        return
    if not found.nodes:
        yield place.finding("broken", Severity.WARNING, "no ONNX model: it has no nodes")
    for location in sorted(found.locations):
        if problem := _escape(place.path.parent, location):
            words = f"tensor data at {location!r} {problem}"
            yield place.finding("onnx-escape", Severity.DANGER, words)
    if found.domains:
        words = f"it needs operators of {', '.join(sorted(found.domains))}"
        yield place.finding("onnx-custom", Severity.NOTICE, words)


def _whole(stream: IO[bytes]) -> memoryview:
    """Return the content; of a real file mapped, so that large weights are not copied."""
    try:
        return memoryview(mmap.mmap(stream.fileno(), 0, access=mmap.ACCESS_READ))
    except (io.UnsupportedOperation, AttributeError, ValueError, OSError):
        return memoryview(stream.read(streams.UNPACKED_MAX))


def _escape(directory: Path, location: str) -> str:
    """Return how a location leaves the model's directory; "" when it stays."""
    path = PurePath(location)
    if path.is_absolute():
        return "is an absolute path"
    if ".." in path.parts:
        return "climbs out of its directory"
    there = (directory / path).resolve()
    return "" if there.is_relative_to(directory.resolve()) else "is a link that leads outside"


_NAMED: Final[dict[str, Callable[[Place, IO[bytes], int], Iterator[Finding]]]] = {
    ".gguf": _gguf,
    ".safetensors": _tensors,
    ".onnx": _onnx,
}
"""By suffix, where the content does not say it."""
