"""A small llama behind llama.cpp's own HTTP server, in this process, on loopback only."""

import argparse
import signal
from pathlib import Path

from xllamacpp import CommonParams, Server


def main() -> None:
    """Serve until stopped."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    parser.add_argument("--threads", type=int, default=2, help="that compute; they spin")
    asked = parser.parse_args()
    settings = CommonParams()
    settings.model.path = str(asked.model)
    settings.hostnames = ["127.0.0.1"]
    settings.port = asked.port
    settings.n_ctx = 1024
    settings.n_parallel = 2
    settings.n_threads_http = 4
    settings.cpuparams.n_threads = settings.cpuparams_batch.n_threads = asked.threads
    settings.warmup = True
    server = Server(settings)
    signal.sigwait({signal.SIGINT, signal.SIGTERM})
    del server


if __name__ == "__main__":
    main()
