"""Where drills happen: a directory with decoys in the home, gone afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

MODEL_BYTES: Final = 256 << 10
_DECOYS: Final = {
    ".ssh/id_ed25519": "decoy, no key\n",
    ".aws/credentials": "decoy, no credentials\n",
    ".kube/config": "decoy\n",
    ".env": "DECOY=1\n",
    ".cache/huggingface/token": "decoy\n",
    ".bash_history": "decoy\n",
}


@dataclass(frozen=True, slots=True)
class Place:
    """What one drill may touch: everything below `directory`, one loopback port, nothing else.

    Attributes:
        directory: Made for the drills and removed after them.
        sink: Loopback TCP port of a listener that swallows what it is sent.
        hub: Loopback port that the server calls in its ordinary life, too.
    """

    directory: Path
    sink: int
    hub: int

    @property
    def home(self) -> Path:
        """A home with decoy secrets."""
        return self.directory / "home"

    @property
    def model(self) -> Path:
        """The model file the server serves."""
        return self.directory / "models" / "v1" / "model.bin"

    @property
    def logs(self) -> Path:
        """Where the server logs."""
        return self.directory / "logs"

    def furnish(self) -> None:
        """Make the decoys, the model and the directories that acts write into."""
        for name, text in _DECOYS.items():
            path = self.home / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, "utf-8")
        for at in range(12):
            path = self.directory / "data" / f"folder{chr(97 + at)}" / "notes.txt"
            path.parent.mkdir(parents=True)
            path.write_text("decoy\n", "utf-8")
        for version in ("v1", "v2"):
            path = self.model.parent.parent / version / "model.bin"
            path.parent.mkdir(parents=True)
            path.write_bytes(bytes(MODEL_BYTES))
        hidden = self.directory / "vault" / "weights.safetensors"
        hidden.parent.mkdir()
        hidden.write_bytes(bytes(MODEL_BYTES))
        for name in ("logs", "site-packages", "etc", "systemd/system", "run", "bin"):
            (self.directory / name).mkdir(parents=True)
