"""Files of a process: hashed where they have a name, copied where they have none left."""

import hashlib
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from agent.evidence.bounds import Bounds
from agent.evidence.opened import OpenedProcess, read_whole

_CHUNK: Final = 1 << 20


@dataclass(slots=True)
class Files:
    """Hashes each file once, however many processes map it.

    Args:
        bounds: Limits.
        alive: Called while a large file is read, so that nobody takes us for stuck.
    """

    bounds: Bounds
    alive: Callable[[], None]
    _digests: dict[tuple[int, int, int, int], str] = field(default_factory=dict)

    def describe(self, process: OpenedProcess, link: str) -> tuple[dict[str, Any], bytes | None]:
        """Return facts of the file behind a link, and its content if it has no name left."""
        fd = process.regular(link)
        facts: dict[str, Any] = {"path": process.target(link)}
        if fd is None:
            return facts | {"note": "not a regular file, or gone"}, None
        try:
            found = os.fstat(fd)
            facts |= {
                "device": f"{os.major(found.st_dev)}:{os.minor(found.st_dev)}",
                "inode": found.st_ino,
                "bytes": found.st_size,
                "mode": oct(found.st_mode),
                "uid": found.st_uid,
                "modified_ns": found.st_mtime_ns,
            } | self._digest(fd, found)
            if found.st_nlink:
                return facts, None
            content, whole = read_whole(fd, min(self.bounds.copy_bytes, found.st_size))
        except OSError as error:
            return facts | {"note": f"not read: {error.strerror}"}, None
        finally:
            os.close(fd)
        facts["copied_bytes"] = len(content)
        return facts | ({} if whole else {"note": "only its beginning is copied"}), content

    def _digest(self, fd: int, found: os.stat_result) -> dict[str, str]:
        if found.st_size > self.bounds.hash_bytes:
            return {"not_hashed": f"larger than {self.bounds.hash_bytes} bytes"}
        key = (found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns)
        if key not in self._digests:
            digest, at = hashlib.sha256(), 0
            # Not beyond its size: files of the kernel have none, and some act when they are read.
            while at < found.st_size:
                chunk = os.pread(fd, min(_CHUNK, found.st_size - at), at)
                if not chunk:
                    break
                digest.update(chunk)
                at += len(chunk)
                self.alive()
            self._digests[key] = digest.hexdigest()
        return {"sha256": self._digests[key]}
