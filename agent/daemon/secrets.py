"""Tells the kernel where this host keeps secrets, which the contained may not open."""

import pwd
from pathlib import Path

from agent.log import log
from agent.response.secret_files import runtime_stores, secret_files
from probes.errors import ProbeError
from probes.loader import Sensor
from probes.sensitive import mark


def mark_secrets(sensor: Sensor) -> None:
    """Mark them anew, in the homes of every account of this host."""
    homes = {Path(account.pw_dir) for account in pwd.getpwall()}
    try:
        mark(sensor.maps["sensitive"], sensor.schema, secret_files(homes))
        mark(sensor.maps["sensitive"], sensor.schema, runtime_stores(), "SECRET_STORE")
    except ProbeError as error:
        log.once("guard.secrets_unmarked", why=error)
