"""The object built elsewhere loads, attaches, pins and adopts under the booted kernel.

Prints what was found for a person, and the same as one line of JSON for the matrix.
"""

import json
import sys
from dataclasses import asdict
from pathlib import Path

from agent.doctor.programs import tier as tier_finding
from probes import cuda
from probes.errors import ProbeError
from probes.loader import Sensor, remove
from probes.trial import missing_fields, probe_capabilities

PINS = Path("/sys/fs/bpf/inferward-load")
LSM = Path("/sys/kernel/security/lsm")
REPORT = "load-report "


def attach() -> tuple[str, list[str]]:
    """Attach everything that this kernel's tier runs; the tier and the programs."""
    sensor = Sensor.open(PINS)
    try:
        sensor.adopt()
        return sensor.tier, list(sensor.links())
    finally:
        sensor.close()
        remove(PINS)


def main() -> int:
    """Print what was attached and what this kernel answered; 0 if the tier runs whole."""
    main_object = probe_capabilities()
    capabilities = [*main_object, *probe_capabilities(cuda.OBJECT)]
    for each in capabilities:
        print(f"{each.program:<28} {each.hook:<36} {each.instructions or each.words}")
        if not each.works and not each.hook.startswith("lsm/"):
            print(*each.details, sep="\n")
    lsm = LSM.read_text("ascii") if LSM.exists() else None
    missing = (*missing_fields(), *missing_fields(cuda.OBJECT))
    report = {
        "tier": "none", "words": tier_finding(main_object, lsm).words, "attached": [],
        "missing_fields": missing, "programs": [asdict(each) for each in capabilities],
    }  # fmt: skip
    said = ""
    try:
        report["tier"], report["attached"] = attach()
        said = f"{len(report['attached'])} attached, tier {report['tier']}"
    except ProbeError as error:
        print(*error.details, sep="\n")
        said = str(error)
    print(REPORT + json.dumps(report))
    for field in missing:
        print(f"this kernel's types have no {field}")
    print(said)
    return 0 if report["attached"] and not missing else 1


if __name__ == "__main__":
    sys.exit(main())
