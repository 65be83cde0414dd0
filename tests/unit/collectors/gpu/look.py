"""Prints readings of this process's NVML as JSON, one for each mode: `look.py PROC MODE...`."""

import json
import os
import sys
from dataclasses import asdict

from collectors.gpu import GpuReader
from collectors.processes import snapshot

readings = {}
for mode in sys.argv[2:]:
    os.environ["FAKE_NVML"] = mode
    reader = GpuReader.open()
    reading = reader.read(snapshot(sys.argv[1]))
    of = {pids: reading.of(json.loads(pids)) for pids in ("[100]", "[100, 200, 300]", "[300]")}
    reader.close()
    readings[mode] = {**asdict(reading), "of": of, "failed": reader.counts.failed}
json.dump(readings, sys.stdout)
