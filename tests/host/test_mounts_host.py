"""Files of other mount namespaces and root directories are told by the host's path, too."""

import subprocess
from pathlib import Path

import pytest

from collectors.mounts import Mounts
from collectors.sightings import Sighting
from tests.host.eyes import Eyes

PREPARE = """
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
def must(result):
    if result: raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
def unshare():
    must(libc.unshare(0x20000)) # CLONE_NEWNS
    must(libc.mount(b"none", b"/", None, 0x44000, None)) # MS_REC | MS_PRIVATE
def bind(what, where):
    must(libc.mount(what.encode(), where.encode(), None, 0x1000, None)) # MS_BIND
def done():
    print("done", flush=True); sys.stdin.readline(); os._exit(0)
"""


def told(eyes: Eyes, script: str, *words: Path) -> list[Sighting]:
    """What a script did after its gate, completed while it lives."""
    with eyes.python(PREPARE + script, *map(str, words)) as gated:
        gated.tell()
        assert gated.hear() == "done"
        return Mounts().complete(eyes.seen(gated.number).sightings)


def host_path(sightings: list[Sighting], item: str) -> str:
    return next(s.host_path for s in sightings if s.item == item)


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys/id_rsa").touch()
    (tmp_path / "data").mkdir()
    (tmp_path / "jail/etc").mkdir(parents=True)
    (tmp_path / "jail/etc/shadow").touch()
    return tmp_path


def test_a_bind_mount_of_another_namespace_is_told_by_the_host_s_path(
    eyes: Eyes, place: Path
) -> None:
    seen = told(
        eyes,
        """
unshare(); bind(sys.argv[1], sys.argv[2])
gate()
os.open(sys.argv[2] + "/id_rsa", os.O_RDONLY)
os.rename(sys.argv[2] + "/id_rsa", sys.argv[2] + "/moved")
done()
""",
        place / "keys",
        place / "data",
    )
    assert host_path(seen, f"{place}/data/id_rsa") == f"{place}/keys/id_rsa"
    assert host_path(seen, f"{place}/data/moved") == f"{place}/keys/moved"


def test_a_bind_mount_that_we_see_too_is_no_other_path(eyes: Eyes, place: Path) -> None:
    keys, data = place / "keys", place / "data"
    subprocess.run(["mount", "--bind", keys, data], check=True)
    try:
        script = "gate()\nos.open(sys.argv[1] + '/id_rsa', os.O_RDONLY)\ndone()"
        seen = told(eyes, script, data)
    finally:
        subprocess.run(["umount", data], check=True)
    assert host_path(seen, f"{data}/id_rsa") == ""


def test_a_file_below_a_root_of_its_own_is_told_by_the_host_s_path(eyes: Eyes, place: Path) -> None:
    seen = told(
        eyes,
        """
os.chroot(sys.argv[1]); os.chdir("/")
gate()
os.open("/etc/shadow", os.O_RDONLY)
os.unlink("/etc/shadow")
done()
""",
        place / "jail",
    )
    assert [s.kind for s in seen if s.host_path == f"{place}/jail/etc/shadow"] == ["file", "write"]


def test_what_is_in_the_layers_of_an_overlay_is_told_by_its_layer(eyes: Eyes, place: Path) -> None:
    for name in ("up", "work", "merged"):
        (place / name).mkdir()
    try:
        seen = told(
            eyes,
            """
unshare()
layers = "lowerdir={0}/jail,upperdir={0}/up,workdir={0}/work".format(sys.argv[1])
must(libc.mount(b"overlay", (sys.argv[1] + "/merged").encode(), b"overlay", 0, layers.encode()))
os.chroot(sys.argv[1] + "/merged"); os.chdir("/")
gate()
os.open("/etc/shadow", os.O_RDONLY)
os.open("/etc/new", os.O_WRONLY | os.O_CREAT)
done()
""",
            place,
        )
    except AssertionError as error:
        pytest.skip(f"no overlay on this filesystem: {error}")
    assert host_path(seen, "/etc/shadow") == f"{place}/jail/etc/shadow"
    assert host_path(seen, "/etc/new") == f"{place}/up/etc/new"
