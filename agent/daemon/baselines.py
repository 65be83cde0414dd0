"""Baselines on disk: one file per workload, written whole or not at all."""

import hashlib
import os
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import UnknownError
from agent.log import log
from detectors.baseline import Baseline
from detectors.errors import BaselineCorruptError

DIRECTORY: Final = "baselines"
_SUFFIX: Final = ".baseline"
_SAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


@dataclass(slots=True)
class BaselineFiles:
    """Loads and keeps baselines.

    Attributes:
        set_aside: Damaged files found, under their new names; the agent is degraded then.
    """

    state: Path
    set_aside: list[Path] = field(default_factory=list)

    @property
    def directory(self) -> Path:
        """Where they lie."""
        return self.state / DIRECTORY

    def path(self, workload: str) -> Path:
        """The file of one workload."""
        return self.directory / f"{_SAFE.sub('_', workload)}{_SUFFIX}"

    def load(self, workload: str) -> Baseline:
        """The baseline kept, or a new one that knows nothing.

        A damaged one is set aside under its name, never silently replaced.
        """
        path = self.path(workload)
        try:
            return Baseline.from_bytes(path.read_bytes())
        except FileNotFoundError:
            return Baseline(workload)
        except BaselineCorruptError as error:
            aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
            path.rename(aside)
            self.set_aside.append(aside)
            log.error("baseline.set_aside", workload=workload, path=aside, why=error)
            return Baseline(workload)

    def save(self, baseline: Baseline) -> None:
        """Replace the file at once; survives a power cut with the old or the new one whole."""
        self.directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = self.path(baseline.workload)
        fresh = path.with_name(f"{path.name}.new")
        with fresh.open("wb") as file:
            file.write(baseline.to_bytes())
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)

    def digest(self, workload: str) -> str:
        """SHA-256 of the file, for status and self-protection; "" if there is none."""
        path = self.path(workload)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def forget(self, workload: str) -> None:
        """Delete a baseline.

        Raises:
            UnknownError: There is none.
        """
        try:
            self.path(workload).unlink()
        except FileNotFoundError as error:
            raise UnknownError("baseline", workload) from error
