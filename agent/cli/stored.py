"""Baselines as the stopped agent kept them."""

from pathlib import Path
from typing import Any, Final

from agent.errors import AgentError, UnknownError

_LISTED: Final = ("workload", "state", "windows", "coverage", "reason")


class DamagedBaselineError(AgentError):
    """The baseline {0} is damaged: {1}. A running agent sets it aside and learns anew."""


def pages(state: Path) -> list[dict[str, Any]]:
    """Return a line for each baseline: workload, state, windows, coverage, reason and file."""
    from agent.daemon.baselines import DIRECTORY

    files = sorted((state / DIRECTORY).glob("*.baseline"))
    return [_line(_read(file)) | {"file": str(file)} for file in files]


def page(state: Path, workload: str) -> dict[str, Any]:
    """Return everything one baseline holds.

    Raises:
        UnknownError: There is none of that workload.
        DamagedBaselineError: It cannot be read.
    """
    from agent.daemon.baselines import BaselineFiles

    file = BaselineFiles(state).path(workload)
    if not file.exists():
        raise UnknownError("baseline", workload)
    return dict(_read(file).page())


def _read(file: Path) -> Any:  # noqa: ANN401  (a Baseline, imported late)
    from agent.seal import unseal
    from detectors.baseline import Baseline
    from detectors.errors import BaselineCorruptError

    try:
        return Baseline.from_bytes(unseal(file.read_bytes()).content)
    except (OSError, BaselineCorruptError, AgentError) as error:
        raise DamagedBaselineError(file, error) from error


def _line(baseline: Any) -> dict[str, Any]:  # noqa: ANN401  (a Baseline, imported late)
    summary = baseline.summary()
    return {name: summary[name] for name in _LISTED}
