"""Bytes are counted by what the file is, weights that are mapped are told, and who is no holder."""

import os
import subprocess
from pathlib import Path

import pytest

from tests.host.eyes import Eyes, Seen

BYTES = 1009
MOVES = """
import mmap, os, socket
where = sys.argv[1] + "/"
gate()
def read(name, times):
    fd = os.open(name, os.O_RDONLY)
    for _ in range(times): os.pread(fd, 1009, 0)
    os.close(fd)
def written(name, times):
    fd = os.open(name, os.O_WRONLY)
    for _ in range(times): os.pwrite(fd, bytes(1009), 0)
    os.close(fd)
"""


@pytest.fixture
def files(tmp_path: Path) -> Path:
    names = ("m.safetensors", "M.GGUF", "c.py", "c.json", "s.pem", "l.log", "plain", "copy")
    for name in names:
        (tmp_path / name).write_bytes(bytes(BYTES))
    (tmp_path / "blobs").mkdir()
    (tmp_path / "blobs" / ("sha256-" + 64 * "a")).write_bytes(bytes(BYTES))
    return tmp_path


def moved(eyes: Eyes, files: Path, script: str) -> Seen:
    with eyes.python(MOVES + script + "\nos._exit(0)", str(files)) as gated:
        gated.tell()
        gated.end()
    seen = eyes.seen(gated.number)
    assert not +seen.losses
    return seen


def test_bytes_are_counted_by_class_of_file(eyes: Eyes, files: Path) -> None:
    script = """
read(where + "m.safetensors", 31)
read(where + "M.GGUF", 2)
read(where + "blobs/sha256-" + 64 * "a", 3)
read(where + "c.py", 29)
read(where + "c.json", 23)
read(where + "s.pem", 19)
written(where + "l.log", 17)
written(where + "plain", 13)
written(where + "m.safetensors", 11)
"""
    seen = moved(eyes, files, script).moved
    assert seen["read weights"] == (31 + 2 + 3) * BYTES
    assert seen["read code"] == 29 * BYTES
    assert seen["read config"] == 23 * BYTES
    assert seen["read secret"] == 19 * BYTES
    assert seen["written log"] == 17 * BYTES
    assert seen["written temp"] == 13 * BYTES  # by its place, below /tmp
    assert seen["written weights"] == 11 * BYTES
    assert seen["read pipe"] == len("go\n")


def test_devices_pipes_and_sockets_are_told_by_the_kernel(eyes: Eyes, files: Path) -> None:
    script = """
read("/dev/zero", 31)
a, b = socket.socketpair()
for _ in range(29): os.write(a.fileno(), bytes(7)); b.recv(7)
for _ in range(23): a.send(bytes(7)); os.read(b.fileno(), 7)
i, o = os.pipe()
for _ in range(19): os.write(o, bytes(7)); os.read(i, 7)
"""
    seen = moved(eyes, files, script).moved
    assert seen["read device"] == 31 * BYTES
    assert seen["read socket"] == seen["written socket"] == (29 + 23) * 7
    assert seen["written pipe"] == 19 * 7
    assert seen["read pipe"] == 19 * 7 + len("go\n")


def test_a_copy_counts_at_both_its_ends(eyes: Eyes, files: Path) -> None:
    script = """
source, target = os.open(where + "m.safetensors", 0), os.open(where + "copy", os.O_WRONLY)
a, b = socket.socketpair()
i, o = os.pipe()
for _ in range(5): os.sendfile(a.fileno(), source, 0, 1009)
for _ in range(3): os.copy_file_range(source, target, 1009, 0, 0)
for _ in range(2): os.splice(source, o, 1009, offset_src=0)
"""
    seen = moved(eyes, files, script).moved
    assert seen["read weights"] == (5 + 3 + 2) * BYTES
    assert seen["written socket"] == 5 * BYTES
    assert seen["written temp"] == 3 * BYTES
    assert seen["written pipe"] == 2 * BYTES


def test_a_file_open_before_it_was_watched_has_its_class(eyes: Eyes, files: Path) -> None:
    script = "gate()\nfor _ in range(31): os.pread(fd, 1009, 0)\nos._exit(0)"
    opened = "import os\nfd = os.open(sys.argv[1] + '/m.safetensors', os.O_RDONLY)\n"
    with eyes.python(opened + script, str(files)) as gated:
        gated.tell()
        gated.end()
    assert eyes.seen(gated.number).moved["read weights"] == 31 * BYTES


def test_weights_that_are_mapped_are_told_once_and_their_bytes_counted(
    eyes: Eyes, files: Path
) -> None:
    script = """
fd = os.open(where + "M.GGUF", os.O_RDONLY)
for _ in range(7): mmap.mmap(fd, 1009, prot=mmap.PROT_READ)
plain = os.open(where + "plain", os.O_RDONLY)
mmap.mmap(plain, 1009, prot=mmap.PROT_READ)
"""
    seen = moved(eyes, files, script)
    assert seen.items("model") == [str(files / "M.GGUF")]
    assert seen.marks("model", "M.GGUF") == {"mapped", "shared"}
    assert seen.moved["mapped weights"] == 7 * BYTES
    assert seen.moved["mapped temp"] == BYTES


def test_each_directory_that_is_listed_is_told_once(eyes: Eyes, tmp_path: Path) -> None:
    for number in range(17):
        (tmp_path / f"d{number}").mkdir()
    script = "for _ in range(2):\n for n in range(17): os.listdir(where + f'd{n}')"
    seen = moved(eyes, tmp_path, script)
    listed = [s.item for s in seen.sightings if "listed" in s.marks]
    assert listed == [f"{tmp_path}/d{n}/" for n in range(17)]
    assert seen.totals["COUNT_LISTINGS"] == 34


@pytest.fixture
def held(eyes: Eyes, tmp_path: Path) -> tuple[Path, int]:
    """Weights, and a workload that holds them."""
    path, number = tmp_path / "weights.bin", eyes.workload()
    path.write_bytes(bytes(BYTES))
    eyes.hold(path, number)
    return path, number


def test_a_stranger_at_held_weights_is_told_once_by_name_and_counted_each_time(
    eyes: Eyes, held: tuple[Path, int]
) -> None:
    path, number = held
    for _ in range(3):
        subprocess.run(["/bin/cat", path], check=True, stdout=subprocess.DEVNULL)
    seen = eyes.seen(number)
    (stranger,) = (s for s in seen.sightings if s.kind == "stranger")
    assert (stranger.item, stranger.comm, stranger.uid) == (str(path), "cat", 0)
    assert stranger.exe.endswith("/bin/cat")
    assert stranger.marks >= {"stranger"}
    assert seen.totals["COUNT_STRANGERS"] == 3


def test_a_key_of_a_stranger_taken_back_is_told_again(eyes: Eyes, held: tuple[Path, int]) -> None:
    path, number = held
    for _ in range(2):
        subprocess.run(["/bin/cat", path], check=True, stdout=subprocess.DEVNULL)
        for sighting in eyes.seen(number).sightings:
            eyes.sensor.maps["seen"].delete(sighting.key)
    assert [s.kind for s in eyes.seen(number).sightings] == ["stranger", "stranger"]


def test_a_holder_is_no_stranger_and_another_workload_is(
    eyes: Eyes, held: tuple[Path, int]
) -> None:
    path, number = held
    script = "import os\ngate()\nos.close(os.open(sys.argv[1], os.O_RDONLY))\nos._exit(0)"
    with eyes.python(script, str(path)) as holder:
        eyes.watch(holder.pid, number)
        holder.tell()
        holder.end()
    assert not eyes.seen(number).items("stranger")
    with eyes.python(script, str(path)) as other:
        other.tell()
        other.end()
    (stranger,) = (s for s in eyes.seen(number).sightings if s.kind == "stranger")
    assert "watched" in stranger.marks


def test_who_only_asks_where_a_file_is_is_no_stranger(eyes: Eyes, held: tuple[Path, int]) -> None:
    path, number = held
    os.close(os.open(path, os.O_PATH))
    assert not eyes.seen(number).items("stranger")
    assert eyes.seen(number).totals["COUNT_STRANGERS"] == 0


def test_a_long_path_keeps_its_end_with_a_stranger(eyes: Eyes, tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90)
    deep.mkdir()
    path, number = deep / "weights.bin", eyes.workload()
    path.touch()
    eyes.hold(path, number)
    path.read_bytes()
    (stranger,) = (s for s in eyes.seen(number).sightings if s.kind == "stranger")
    assert str(path).endswith(stranger.item)
    assert stranger.marks >= {"truncated", "stranger"}
    assert len(stranger.item) == 79
