"""Fits resource models in a process of its own: scikit-learn takes seconds and 160 MB to load."""

from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context
from typing import Any

from agent.log import log
from detectors.baseline import Floats
from detectors.errors import FeatureError
from detectors.resources import ResourceModel
from detectors.resources import fit as fit_here


class Fitter:
    """Makes `Fit` functions for judges; each answers None until its worker is done."""

    def __init__(self) -> None:
        """Start nothing yet."""
        self._pool: ProcessPoolExecutor | None = None
        self._jobs: dict[str, Future[ResourceModel]] = {}

    def fit(self, workload: str, rows: Floats) -> ResourceModel | None:
        """Ask for, or collect, the model of one workload."""
        job = self._jobs.get(workload)
        if job is None:
            self._jobs[workload] = self._start().submit(fit_here, rows)
            return None
        if not job.done():
            return None
        del self._jobs[workload]
        try:
            return job.result()
        except (BrokenProcessPool, FeatureError) as error:
            log.error("baseline.fit_failed", workload=workload, why=error)
            self.close()  # a new worker next time
            return None
        finally:
            if not self._jobs:
                self.close()  # its memory is not ours to keep

    def _start(self) -> ProcessPoolExecutor:
        if self._pool is None:
            context: Any = get_context("spawn")  # a fork would copy the ring's mapping and threads
            self._pool = ProcessPoolExecutor(1, mp_context=context)
        return self._pool

    def close(self) -> None:
        """Let the worker go, without waiting for it."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)
        self._pool = None
        self._jobs.clear()
