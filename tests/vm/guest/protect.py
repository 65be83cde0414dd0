"""In the machine: every way to change a protected model, by anybody and by a publisher."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from agent.doctor.programs import tier
from probes.loader import Sensor, remove
from probes.protect import FILE, PLACE, Number, Protection
from probes.trial import probe_capabilities
from tests.vm.guest.guard import LSM, SKIPPED

PINS: Final = Path("/sys/fs/bpf/inferward-protect")
ACTS: Final = {
    "write": "os.close(os.open(w, os.O_WRONLY))",
    "append": "os.close(os.open(w, os.O_WRONLY | os.O_APPEND))",
    "truncate at open": "os.close(os.open(w, os.O_RDWR | os.O_TRUNC))",
    "truncate": "os.truncate(w, 0)",
    "chmod": "os.chmod(w, 0o666)",
    "chown": "os.chown(w, 1, 1)",
    "rename away": "os.rename(w, other + '2')",
    "rename over": "os.rename(other, w)",
    "unlink": "os.unlink(w)",
    "unlink the link": "os.unlink(link)",
    "rename the directory": "os.rename(root, root + '2')",
    "through another name": "os.close(os.open(hard, os.O_WRONLY))",
    "mount over the file": "mount(other, w)",
    "mount over the directory": "mount(aside, root)",
}
KEPT: Final = {
    "read": "open(w, 'rb').read()",
    "a new file beside it": "open(root + '/new.lock', 'w').close(); os.unlink(root + '/new.lock')",
    "another file": "open(other, 'w').close()",
}
PRELUDE: Final = """
import ctypes, os, sys
root, w, link, other, hard, aside = sys.argv[1:]
def mount(source, target):
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.mount(source.encode(), target.encode(), None, 4096, None):
        raise OSError(ctypes.get_errno(), "mount")
try:
    {act}
except PermissionError:
    raise SystemExit(13)
"""


def place(folder: Path) -> list[str]:
    """Make everything anew; the arguments of an act."""
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "model").mkdir(parents=True)
    (folder / "aside").mkdir()
    for name in ("model/w", "other"):
        (folder / name).write_bytes(bytes(4096))
    (folder / "model" / "link").symlink_to("w")
    (folder / "hard").hardlink_to(folder / "model" / "w")
    names = ("model", "model/w", "model/link", "other", "hard", "aside")
    return [str(folder / name) for name in names]


def numbers(arguments: list[str]) -> dict[Number, str]:
    """What to protect of it."""
    root, weights, link = (os.lstat(path) for path in arguments[:3])
    return {
        (root.st_dev, root.st_ino): PLACE,
        (weights.st_dev, weights.st_ino): FILE,
        (link.st_dev, link.st_ino): PLACE,
    }


def attempt(python: str, act: str, arguments: list[str]) -> int:
    """Do one act in a process of its own: 0 done, 13 denied."""
    done = subprocess.run([python, "-I", "-c", PRELUDE.format(act=act), *arguments], check=False)
    for path in (arguments[1], arguments[0]):
        subprocess.run(["umount", path], check=False, stderr=subprocess.DEVNULL)
    return done.returncode


def try_all(protection: Protection, say: Callable[[str], None]) -> bool:
    """Every act by anybody, by a publisher, and by anybody after it was given up."""
    folder, right = Path(tempfile.mkdtemp()), True
    python = os.path.realpath(sys.executable)
    for name, act in (ACTS | KEPT).items():
        came = []
        for publishers, listed in (((), True), ((python,), True), ((), False)):
            protection.keep({}, ())
            arguments = place(folder)
            protection.keep(numbers(arguments) if listed else {}, publishers)
            came.append(attempt(python, act, arguments))
        protection.keep({}, ())
        good = came == [0 if name in KEPT else 13, 0, 0]
        say(f"{name:<28} {'as it must be' if good else f'WRONG: {came}'}")
        right &= good
    shutil.rmtree(folder)
    arguments = place(Path(tempfile.mkdtemp()))
    protection.keep(numbers(arguments), ())
    protection.refused()
    attempt(python, ACTS["write"], arguments)
    told = protection.refused()
    good = [one.count for one in told] == [1] and told[0].comm.startswith("python")
    protection.keep({}, ())
    say(f"{'told':<28} {'as it must be' if good else f'WRONG: {told}'}")
    return right and good


def main() -> int:
    """0 if all is as it must be, 77 and the doctor's words in tier `trace`."""
    sensor = Sensor.open(PINS)
    try:
        if sensor.tier != "guard":
            lsm = LSM.read_text("ascii") if LSM.exists() else None
            print(tier(probe_capabilities(), lsm).words)
            return SKIPPED
        return 0 if try_all(Protection(sensor), lambda row: print(row, flush=True)) else 1
    finally:
        sensor.close()
        remove(PINS)


if __name__ == "__main__":
    raise SystemExit(main())
