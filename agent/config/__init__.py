"""The configuration: TOML read once into immutable values, every mistake with its line."""

from agent.config.load import DEFAULT_FILE, Problem, SettingsError, load
from agent.config.schema import (
    RESPONSES,
    Agent,
    Budget,
    Central,
    Learning,
    Match,
    Origin,
    Paths,
    Response,
    Settings,
    Ship,
    Store,
    Window,
    Workload,
)

__all__ = [
    "DEFAULT_FILE",
    "RESPONSES",
    "Agent",
    "Budget",
    "Central",
    "Learning",
    "Match",
    "Origin",
    "Paths",
    "Problem",
    "Response",
    "Settings",
    "SettingsError",
    "Ship",
    "Store",
    "Window",
    "Workload",
    "load",
]
