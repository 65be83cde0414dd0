"""The daemon: `agent run`."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING, Final

from agent.errors import KernelError, PrivilegeError

SWITCH_S: Final = 0.0005
"""How long one thread computes while another waits for its turn.

A freeze makes hundreds of short system calls and waits for a turn after each: at Python's five
milliseconds it took twice as long while the loop judged a window.
"""

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.config.schema import Settings
    from agent.ship.shipper import Shipper
    from probes.loader import Sensor


def run(settings: Settings, read_settings: Callable[[], Settings]) -> None:
    """Watch until SIGTERM.

    Args:
        settings: The configuration.
        read_settings: Reads it again, at SIGHUP.

    Raises:
        AlreadyRunningError: Another agent has these paths.
        PrivilegeError: Loading probes is not allowed to us.
        KernelError: The kernel refuses the probes.
        ConfigError: A path cannot be used.
    """
    # numpy's threads for large matrices begin with its import and keep what is held then; the
    # loop has no large matrix, and fitting must not take more than one of the server's processors.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    from agent.control import Lock  # noqa: PLC0415 - `agent --help` does not need any of this
    from agent.daemon.daemon import Daemon  # noqa: PLC0415
    from agent.powers import settle  # noqa: PLC0415
    from agent.store import Store  # noqa: PLC0415

    with Lock((settings.paths.run, settings.paths.state)):
        sensor = _open_sensor(settings)
        settle()  # before the first thread that is not this one
        sys.setswitchinterval(SWITCH_S)
        store = Store.open(settings.paths.state / "events.db", keep=settings.store.keep_entries)
        Daemon(settings, sensor, store, _ship(settings), read_settings).run()


def _open_sensor(settings: Settings) -> Sensor:
    from agent.log import log  # noqa: PLC0415
    from probes.errors import ProbeError  # noqa: PLC0415
    from probes.loader import Sensor  # noqa: PLC0415

    try:
        return Sensor.open(settings.paths.pins)
    except PermissionError as error:
        raise PrivilegeError(f"Writing {settings.paths.pins}") from error
    except ProbeError as error:
        # EACCES is the verifier's word about a program, EPERM the kernel's about us.
        if error.number == errno.EPERM:
            raise PrivilegeError("Loading probes into the kernel") from error
        log.error("probes.refused", act=error.act, why=error.reason, details=error.details[-20:])
        raise KernelError(str(error)) from error
    except OSError as error:
        raise KernelError(f"{settings.paths.pins}: {error.strerror}") from error


def _ship(settings: Settings) -> Shipper | None:
    from agent.keys import KeyStore  # noqa: PLC0415
    from agent.ship.settings import ShipSettings  # noqa: PLC0415
    from agent.ship.shipper import Shipper  # noqa: PLC0415

    if not settings.ship.endpoints:
        return None
    where = ShipSettings(
        host=settings.host,
        endpoints=settings.ship.endpoints,
        central_key=settings.ship.central_key,
        outbox=settings.paths.state / "outbox.db",
        outbox_bytes=settings.ship.outbox_mib << 20,
        heartbeat_s=settings.ship.heartbeat_s,
    )
    return Shipper.start(where, KeyStore(settings.paths.state / "keys").pair("host"))
