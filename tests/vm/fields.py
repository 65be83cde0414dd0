"""Kernel fields that the probes read and a kernel's types do not have: `fields.py [SERIES...]`.

Nothing is booted: the types are taken out of the image, and libbpf fits the object to them. Exit
status 0 only if none is missing.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path
from typing import Final

from probes import cuda, loader
from probes.trial import missing_fields
from tests.vm import kernels

SERIES: Final = tuple(series for series in kernels.SERIES if series != kernels.OLDEST)
# How a kernel is compressed behind its loader: the first bytes, and who unpacks it. What follows
# the compressed part is none, so that each complains at its end.
_PACKED: Final = (
    (b"\x28\xb5\x2f\xfd", ("zstd", "-dcq")),
    (b"\xfd7zXZ\x00", ("xz", "-dcq", "--single-stream")),
)


def unpack(vmlinuz: Path, target: Path) -> Path:
    """Write the ELF file inside a bootable image, which carries .BTF, to `target`."""
    image = vmlinuz.read_bytes()
    for magic, command in _PACKED:
        at = image.find(magic)
        if at >= 0:
            with target.open("wb") as out:
                subprocess.run(
                    command, input=image[at:], stdout=out, stderr=subprocess.DEVNULL, check=False
                )
            return target
    raise kernels.KernelUnavailableError(f"{vmlinuz} is compressed in a way not known here")


def main() -> int:
    """Print each series' release and what it lacks."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("series", nargs="*", default=SERIES)
    good = True
    for series in parser.parse_args().series:
        vmlinuz = kernels.image(series)
        with tempfile.TemporaryDirectory() as folder:
            types = unpack(vmlinuz, Path(folder) / "vmlinux")
            missing = [
                field
                for made in (loader.OBJECT, cuda.OBJECT)
                for field in missing_fields(made, types)
            ]
        print(f"{kernels.release(vmlinuz):<24} {', '.join(missing) or 'every field is there'}")
        good = good and not missing
    return 0 if good else 1


if __name__ == "__main__":
    raise SystemExit(main())
