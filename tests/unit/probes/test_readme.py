"""The table of files is of the files that are there."""

import re
from pathlib import Path

HERE = Path(__file__).parents[3] / "probes"
NOT_OURS = {"vmlinux.h", "__init__.py"}


def test_the_readme_names_each_file_of_the_probes_and_no_other() -> None:
    text = (HERE / "README.md").read_text()
    there = {path.name for path in HERE.iterdir() if path.suffix in {".c", ".h", ".py"}}
    named = set(re.findall(r"`(\w+(?:\.bpf\.[ch]|\.py))`", text))
    named |= {f"{stem}.bpf.h" for stem in re.findall(r"`(\w+)\.bpf\.c`, `\.h`", text)} | {
        "events.h"
    }
    assert there - NOT_OURS - named == set()
    assert {name for name in named - there if not name.startswith("test_")} == set()
