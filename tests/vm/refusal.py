"""Under a kernel that lacks what the agent needs, `agent doctor` and `agent run` say so and end."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

from agent.doctor.kernel import OLDEST_KERNEL

CANNOT_RUN = 2


def ask(*words: str) -> "subprocess.CompletedProcess[str]":
    """Run `agent` with these words and paths of its own."""
    with tempfile.TemporaryDirectory() as folder:
        config = Path(folder) / "agent.toml"
        config.write_text(f'[paths]\nstate = "{folder}/state"\nrun = "{folder}/run"\n')
        return subprocess.run(
            [sys.executable, "-m", "agent.main", *words, "--config", str(config)],
            capture_output=True, text=True, check=False, timeout=100,
        )  # fmt: skip


def main() -> int:
    """Print what was said; 0 if each refused with its exit code and named the way out."""
    wanted = "boot Linux {}.{} or later".format(*OLDEST_KERNEL)
    doctor, run = ask("doctor", "--json"), ask("run")
    findings = json.loads(doctor.stdout)["findings"]
    kernel = next(one for one in findings if one["name"] == "kernel")
    for one in findings:
        print(f"{one['state']:<8} {one['name']:<24} {one['words']}")
    print(f"agent doctor: exit {doctor.returncode}; {kernel['words']}: {kernel['fix']}")
    print(f"agent run: exit {run.returncode}; stderr: {run.stderr.strip()}")
    good = (
        (doctor.returncode, run.returncode) == (CANNOT_RUN, CANNOT_RUN)
        and kernel["state"] == "missing"
        and kernel["fix"] == wanted
        and len(run.stderr.strip().splitlines()) == 1
        and wanted in run.stderr
    )
    print(f"exit {run.returncode}: {wanted}" if good else "not refused as it must be")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
