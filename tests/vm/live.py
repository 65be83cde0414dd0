"""A daemon on paths of its own, asked by `agent doctor --live` what each of its eyes saw."""

import json
import subprocess
import sys

from tests.host.daemons import Daemon


def main() -> int:
    """Print each finding; 0 if every eye saw, and nothing that the agent needs is missing."""
    daemon = Daemon().configure()
    try:
        daemon.start()
        asked = subprocess.run(
            daemon.line("doctor", "--live", "--json"), capture_output=True, text=True, check=False
        )
        findings = json.loads(asked.stdout)["findings"]
    finally:
        daemon.close()
    for one in findings:
        print(f"{one['state']:<8} {one['name']:<24} {one['words']}")
    eyes = [one for one in findings if one["name"].startswith("live: ")]
    saw = [one for one in eyes if one["state"] == "ok"]
    missing = [one["name"] for one in findings if one["state"] == "missing"]
    print(", ".join([f"{len(saw)} of {len(eyes)} eyes", *(f"missing {name}" for name in missing)]))
    return 0 if eyes and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
