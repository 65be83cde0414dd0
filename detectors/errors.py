"""What the detectors refuse, and why."""

from __future__ import annotations


class DetectorError(Exception):
    """A detector was given something it cannot use."""

    def __str__(self) -> str:
        """Return the class's docstring with the arguments filled in."""
        return (type(self).__doc__ or "").format(*self.args)


class FeatureError(DetectorError):
    """Features cannot be scored: {0}."""


class SequenceError(DetectorError):
    """A system-call sequence cannot be used: {0}."""


class CalibrationError(DetectorError):
    """Calibration is not possible: {0}."""


class BaselineCorruptError(DetectorError):
    """These bytes are no baseline this version can read: {0}."""


class MergeError(DetectorError):
    """These baselines make no common one: {0}."""


class LifeError(DetectorError):
    """A baseline cannot {0} while it is {1}."""
