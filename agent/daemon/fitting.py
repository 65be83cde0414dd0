"""Fits resource models in a program of their own: scikit-learn takes seconds and 160 MB to load."""

import io
import subprocess
import sys
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import numpy as np

from agent.confined import confined
from agent.daemon import fit_worker
from agent.log import log
from detectors.baseline import Floats
from detectors.resources import ResourceModel

TIMEOUT_S: Final = 300.0
"""For 2,048 rows, which take a second once scikit-learn is loaded; a busy host takes longer."""

_LAST_LINE: Final = -1


class Fitter:
    """Makes `Fit` functions for judges; each answers None until its worker is done."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._threads = ThreadPoolExecutor(1, thread_name_prefix="fit")
        self._jobs: dict[str, Future[ResourceModel]] = {}
        self.asked = self.fitted = self.failed = 0

    @property
    def pending(self) -> int:
        """Models asked for and not collected."""
        return len(self._jobs)

    def fit(self, workload: str, rows: Floats) -> ResourceModel | None:
        """Ask for, or collect, the model of one workload; a failure is told and tried again."""
        job = self._jobs.get(workload)
        if job is None:
            self.asked += 1
            self._jobs[workload] = self._threads.submit(_fit, rows.copy())
            return None
        if not job.done():
            return None
        del self._jobs[workload]
        try:
            model = job.result()
        except (OSError, subprocess.SubprocessError, ValueError, KeyError) as error:
            self.failed += 1
            log.error("baseline.fit_failed", workload=workload, why=_words(error))
            return None
        self.fitted += 1
        return model

    def close(self) -> None:
        """Wait for nobody; a worker under way ends by itself."""
        self._threads.shutdown(wait=False, cancel_futures=True)


def _fit(rows: Floats) -> ResourceModel:
    given = io.BytesIO()
    np.save(given, rows, allow_pickle=False)
    done = subprocess.run(
        [*confined(), sys.executable, "-m", fit_worker.__name__],
        input=given.getvalue(),
        capture_output=True,
        timeout=TIMEOUT_S,
        check=True,
    )
    return fit_worker.decode(done.stdout)


def _words(error: Exception) -> str:
    told = getattr(error, "stderr", None) or b""
    lines = told.decode("utf-8", "replace").strip().splitlines()
    return lines[_LAST_LINE] if lines else str(error)
