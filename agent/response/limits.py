"""What a limited workload may send, by what the configuration says."""

from typing import Final

from agent.config.schema import Settings

MIB: Final = 1 << 20


def upload_limits(settings: Settings, workload: str) -> dict[str, int]:
    """Return what this workload may send in an hour once it is limited: bytes by class of peer."""
    own = (one.upload for one in settings.workload if one.name == workload)
    allowed = next((one for one in own if one is not None), settings.upload)
    private = int(allowed.private_mib_per_hour * MIB)
    return {
        "public": int(allowed.public_mib_per_hour * MIB),
        "private": private,
        "link": private,
        "multicast": private,
        "metadata": int(allowed.metadata_mib_per_hour * MIB),
    }
