"""`agent` with another probe object: later_agent.py OBJECT COMMAND ..."""

import sys
from pathlib import Path
from unittest.mock import patch

from agent.main import main
from probes.loader import Sensor

OBJECT = Path(sys.argv.pop(1))
OPEN = Sensor.open

with patch.object(Sensor, "open", lambda pins: OPEN(pins, OBJECT)):
    main()
