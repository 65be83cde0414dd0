"""Starts programs of the agent's own with fewer capabilities than the daemon has.

A program that runs as root gets whatever its bounding set holds (capabilities(7)), so that is
what is cut. It takes CAP_SETPCAP, which the packaged unit grants for this alone.
"""

import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path(__file__).parents[1]

SEE: Final = ("dac_read_search", "sys_ptrace")
"""Capabilities that it takes to read other users' files, and their processes' memory and links."""

MAPPED: Final = (*SEE, "checkpoint_restore")
"""And the very files that these map, by /proc/PID/map_files."""

PROBE: Final = ("bpf", "perfmon", *SEE)
"""And, beside SEE, those of a uprobe in another mount namespace."""


@cache
def confined(powers: tuple[str, ...] = ()) -> tuple[str, ...]:
    """Return what to put before a command so that it holds these alone, and gains none later.

    Empty where this process may give nothing away, or where the program's own files cannot be read
    with so little, as in another user's home: the command keeps what this one has.
    """
    setpriv = shutil.which("setpriv")
    if setpriv is None:
        return ()
    kept = ",".join(("-all", *(f"+{power}" for power in powers)))
    command = (setpriv, f"--bounding-set={kept}", "--inh-caps=-all", "--no-new-privs")
    trial = [*command, sys.executable, "-c", "import agent"]
    tried = subprocess.run(trial, capture_output=True, cwd=_ROOT, check=False)
    return command if tried.returncode == 0 else ()
