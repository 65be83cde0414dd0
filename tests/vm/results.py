"""What each suite did, kept until the tree changes: a run that broke off goes on where it was.

One file a suite, under a folder named after the working tree and the kernel: what two trees or two
kernels did never meets in one table.
"""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from tests.vm import root
from tests.vm.suites import CHECKOUT, Outcome, Suite

FOLDER: Final = CHECKOUT / "build" / "vm"


@dataclass(frozen=True, slots=True)
class Results:
    """Of one tree under one kernel.

    Attributes:
        at: Where they lie.
        tree: Digest of the working tree.
    """

    at: Path
    tree: str

    @classmethod
    def of(cls, release: str, *, smoke: bool, folder: Path = FOLDER) -> "Results":
        """Return those of the working tree as it is now."""
        tree = root.digest()
        return cls(folder / (tree + ("-smoke" if smoke else "")) / release, tree)

    def keep(self, outcome: Outcome) -> None:
        """Write down how a suite ended; not one that did not, nor one whose tree changed."""
        if outcome.status is None or root.digest() != self.tree:
            return
        self.at.mkdir(parents=True, exist_ok=True)
        written = {
            "status": outcome.status, "seconds": outcome.seconds, "output": outcome.output,
            "date": outcome.date or datetime.now(UTC).isoformat(timespec="seconds"),
        }  # fmt: skip
        (self.at / f"{outcome.suite.name}.json").write_text(json.dumps(written))

    def of_suite(self, suite: Suite) -> Outcome | None:
        """Return how a suite ended, if it did."""
        file = self.at / f"{suite.name}.json"
        return Outcome(suite, **json.loads(file.read_text())) if file.exists() else None
