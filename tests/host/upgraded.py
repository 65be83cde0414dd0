"""A later object: the probes with another interface, compiled from a changed copy of them."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent


def changed(text: str) -> str:
    """The interface with a higher number, a counter and a field in three structs more."""
    text = _raised(text, "ABI_NUMBER")
    end = re.search(r"\tCOUNT_MAX = (\d+)", text)
    assert end is not None
    text = _raised(text, "COUNT_MAX").replace(
        "\tCOUNT_MAX", f"\tCOUNT_LATER = {end[1]},\n\tCOUNT_MAX"
    )
    for name in ("task_state", "member"):
        text = re.sub(rf"(struct {name} {{[^\n]*\n)", r"\1\t__u64 later;\n", text)
    # A record is as long as before: what is new takes of what was reserved.
    record = r"(struct exit_event {\n\tstruct event_header hdr;\n)(.*?reserved\[)(\d+)"
    return re.sub(
        record,
        lambda found: f"{found[1]}\t__u64 later;\n{found[2]}{int(found[3]) - 1}",
        text,
        flags=re.DOTALL,
    )


def _raised(text: str, constant: str) -> str:
    return re.sub(
        rf"(\t{constant} = )(\d+)", lambda found: f"{found[1]}{int(found[2]) + 1}", text, count=1
    )


def build(work: Path) -> Path:
    """Compile it as the Makefile does; the object's path."""
    copy = work / "probes"
    shutil.copytree(ROOT / "probes", copy, ignore=shutil.ignore_patterns("*.py", "__pycache__"))
    events = copy / "events.h"
    events.write_text(changed(events.read_text()))
    flags = ("-g", "-O2", "-target", "bpf", "-D__TARGET_ARCH_x86", "-I", str(copy))
    parts = []
    for source in sorted(set(copy.glob("*.bpf.c")) - {copy / "cuda.bpf.c"}):
        part = work / f"{source.stem}.o"
        of_cpu = ("-mcpu=v3",) if source.name == "grams.bpf.c" else ()
        subprocess.run(["clang", *flags, *of_cpu, "-c", source, "-o", part], check=True)
        parts.append(part)
    made = work / "later.bpf.o"
    bpftool = Path("/usr/sbin/bpftool")
    subprocess.run(
        [bpftool if bpftool.exists() else "bpftool", "gen", "object", made, *parts], check=True
    )
    subprocess.run(["llvm-strip", "-g", made], check=True)
    return made
