"""An obedient server that looks for its libraries by a shell and loads a model when it starts."""

import runpy
import subprocess
import sys
import time
from pathlib import Path

home = Path(sys.argv[1])
model = home / "model.safetensors"
if not model.exists():
    model.write_bytes(bytes(8 << 20))
time.sleep(2.0)  # until it is watched
subprocess.run(["/bin/sh", "-c", "true; true"], check=True)
model.read_bytes()
runpy.run_path(str(Path(__file__).with_name("obedient.py")))
