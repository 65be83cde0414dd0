"""Serving engines as data: a TOML file each, how to recognise one and what is normal for it."""

from collectors.engines.configured import MATCH_KEYS, ConfiguredWorkload
from collectors.engines.rulebook import Recognised, Rulebook
from collectors.engines.schema import Engine, Evidence, RuleError

__all__ = [
    "MATCH_KEYS",
    "ConfiguredWorkload",
    "Engine",
    "Evidence",
    "Recognised",
    "RuleError",
    "Rulebook",
]
