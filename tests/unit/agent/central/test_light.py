"""Commands stay quick: asking for central's names loads neither ZeroMQ nor chDB."""

import subprocess
import sys


def test_importing_central_loads_no_heavy_library() -> None:
    code = (
        "import sys, agent.central, agent.keys;"
        "print([m for m in ('zmq', 'chdb', 'msgpack', 'sqlite3', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
