"""How far a step goes at one workload, by what the configuration says."""

from typing import Final

from agent.config.schema import Settings
from agent.response.containment import Step
from detectors.assessment import Level

MIB: Final = 1 << 20


def clients_cut(settings: Settings, workload: str) -> bool:
    """Return whether connections that clients opened are cut, once this workload is contained."""
    own = (one.clients for one in settings.workload if one.name == workload)
    return next((one for one in own if one is not None), settings.response.clients) == "cut"


def steps_by_level(settings: Settings, workload: str) -> dict[Level, Step]:
    """Return the step that a verdict of each level earns at this workload."""
    own = (one.steps for one in settings.workload if one.name == workload)
    earned = next((one for one in own if one is not None), settings.steps)
    return {Level.INFO: Step.OBSERVE} | {
        level: Step.from_label(getattr(earned, level.label))
        for level in Level
        if level is not Level.INFO
    }


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
