"""How much evidence is taken, and how long that may last."""

from dataclasses import asdict, dataclass
from typing import Any

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class Bounds:
    """Limits of one bundle; what goes beyond is left out, and the manifest says so.

    Attributes:
        silence_s: The reader is killed, and goes on with the next process, after saying nothing
            for so long: a file on FUSE, or a page mapped from one, answers when its owner likes.
        whole_s: Of all reading.
        processes: Of one tree; a fork bomb has more.
        text_bytes: Of one text, such as an environment or a memory map.
        descriptors: Of one process.
        threads: Of one process.
        hash_bytes: A larger file is named but not hashed: a model of 100 GB takes minutes.
        copy_bytes: Of one open file without a name.
        memory: Which mappings' memory is taken, too: names as /proc/PID/maps has them, or globs of
            such; "[anon]" for those without one, "[anon-code]" for those of them that may run.
            None unless asked for: it holds what requests and replies held, and secrets.
        memory_bytes: Of all of that, of all processes together.
        bundle_bytes: Of all contents together, before compression.
    """

    silence_s: float = 10.0
    whole_s: float = 60.0
    processes: int = 512
    text_bytes: int = 2 * MIB
    descriptors: int = 4096
    threads: int = 512
    hash_bytes: int = 256 * MIB
    copy_bytes: int = 8 * MIB
    memory: tuple[str, ...] = ()
    memory_bytes: int = 64 * MIB
    bundle_bytes: int = 256 * MIB

    def as_json(self) -> dict[str, Any]:
        """Return them by name."""
        return asdict(self)
