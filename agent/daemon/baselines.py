"""Baselines on disk: one file per workload, sealed, written whole or not at all."""

import hashlib
import os
import re
import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from agent.errors import AgentError, UnknownError
from agent.log import log
from agent.models.signing import Signer
from agent.seal import ForgedBaselineError, key_path, seal, unseal
from detectors.assessment import BaselineState
from detectors.baseline import Baseline
from detectors.errors import BaselineCorruptError

DIRECTORY: Final = "baselines"
GUARDING_S: Final = 300.0
"""Between writes of a baseline that guards; so much of what it noted may a crash take."""

_SUFFIX: Final = ".baseline"
_SAFE: Final = re.compile(r"[^A-Za-z0-9._-]")


def file_name(workload: str) -> str:
    """What a workload's files are called."""
    return _SAFE.sub("_", workload)


def replace_file(path: Path, content: bytes) -> None:
    """Write what root alone may read, the old or the new one whole whatever happens meanwhile.

    Raises:
        OSError: It could not be written; the old one stands.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)  # of a writer that was killed
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
    with os.fdopen(os.open(fresh, flags, 0o600), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


@dataclass(slots=True)
class BaselineFiles:
    """Loads and keeps baselines.

    Attributes:
        kept: What each file was when we wrote it: inode, size and time of change.
        set_aside: Damaged or forged files found, under their new names; the agent is degraded then.
    """

    state: Path
    set_aside: list[Path] = field(default_factory=list)
    kept: dict[Path, tuple[int, int, int]] = field(default_factory=dict)
    _saved_s: dict[str, float] = field(default_factory=dict)
    _signer: Signer | None = None

    @property
    def directory(self) -> Path:
        """Where they lie."""
        return self.state / DIRECTORY

    def path(self, workload: str) -> Path:
        """The file of one workload."""
        return self.directory / f"{file_name(workload)}{_SUFFIX}"

    def load(self, workload: str) -> Baseline:
        """The baseline kept, or a new one that knows nothing.

        A damaged one, or one that this host did not seal, is set aside under its name, never
        silently replaced.
        """
        path = self.path(workload)
        try:
            return Baseline.from_bytes(self._own(path.read_bytes()))
        except FileNotFoundError:
            return Baseline(workload)
        except (BaselineCorruptError, AgentError) as error:
            aside = path.with_name(f"{path.name}.corrupt-{int(time.time())}")
            path.rename(aside)
            self.set_aside.append(aside)
            log.error("baseline.set_aside", workload=workload, path=aside, why=error)
            return Baseline(workload)

    def _own(self, data: bytes) -> bytes:
        """Without a key nothing was ever sealed here: those bytes are of an agent before seals."""
        opened = unseal(data)
        if not opened.key and not key_path(self.state).exists():
            return opened.content
        if opened.key != self.signer.public:
            raise ForgedBaselineError("nobody" if not opened.key else "another key")
        return opened.content

    @property
    def signer(self) -> Signer:
        """This host's key for baselines, made at its first use."""
        self._signer = self._signer or Signer.load_or_make(key_path(self.state))
        return self._signer

    def sealed(self, baseline: Baseline) -> bytes:
        """A baseline's bytes as they are kept and exported."""
        return seal(baseline.to_bytes(), self.signer)

    def save(self, baseline: Baseline) -> None:
        """Replace the file at once; survives a power cut with the old or the new one whole."""
        path = self.path(baseline.workload)
        replace_file(path, self.sealed(baseline))
        self._saved_s[baseline.workload] = time.monotonic()
        seen = path.stat()
        self.kept[path] = (seen.st_ino, seen.st_size, seen.st_mtime_ns)

    def save_all(
        self, baselines: Iterable[Baseline], lost: Counter[str], *, due: bool = False
    ) -> None:
        """Save each, or each that is due; what cannot be written is told once, and counted.

        Little changes in one that guards, but for what is saved at once (its state, an approval):
        which sequences were seen lately, and its drift. It is due every `GUARDING_S`.
        """
        for baseline in baselines:
            age_s = time.monotonic() - self._saved_s.get(baseline.workload, -GUARDING_S)
            if due and baseline.state is BaselineState.GUARDING and age_s < GUARDING_S:
                continue
            try:
                self.save(baseline)
            except OSError as error:
                log.once("baseline.not_saved", workload=baseline.workload, why=error)
                lost["baseline_not_saved"] += 1

    def digest(self, workload: str) -> str:
        """SHA-256 of the file, for status and self-protection; "" if there is none."""
        path = self.path(workload)
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.exists() else ""

    def forget(self, workload: str) -> None:
        """Delete a baseline.

        Raises:
            UnknownError: There is none.
        """
        self.kept.pop(self.path(workload), None)
        try:
            self.path(workload).unlink()
        except FileNotFoundError as error:
            raise UnknownError("baseline", workload) from error
