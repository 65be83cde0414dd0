"""What central is told by the configuration."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

SOCKET_NAME: Final = "central.sock"


@dataclass(frozen=True, slots=True, kw_only=True)
class CentralSettings:
    """Where central listens, stores, and finds its keys.

    Attributes:
        bind: Address for hosts, "tcp://127.0.0.1:5599".
        store: Directory of the store, `<state>/central`; one central at a time.
        run: Directory of the socket for questions, `central.sock`, for this user only.
        keys: Directory of the keys, `<state>/keys`: `central.key` and `allowed/`.
        keep_days: Age at which a verdict is dropped.
        silent_after_s: A host unheard for so long is told of as silent.
        stuck_after_s: A statement of the store that takes so long ends central, to be started anew.
    """

    bind: str
    store: Path
    run: Path
    keys: Path
    keep_days: int = 90
    silent_after_s: float = 30.0
    stuck_after_s: float = 60.0
