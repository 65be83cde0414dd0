"""The file that lets an operator act with the daemon dead: workload name → number and roots.

`workloads.json` in the run directory: the numbers are those in the kernel's
pinned maps, and like these it does not outlive the host's start.
"""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

from agent.errors import AgentError, UnknownError
from agent.response.containment import ProcessId, Target

FORMAT: Final = 1
FIRST_ID: Final = 1


class WorkloadsError(AgentError):
    """The list of workloads {0} cannot be used: {1}. `agent run` writes it anew."""

    exit_code = 5


class TooManyWorkloadsError(AgentError):
    """{0} workloads are watched already, and the kernel's maps have room for no more."""

    exit_code = 6


def write(run: Path, targets: Iterable[Target]) -> None:
    """Replace the list, at once; raises WorkloadsError."""
    plain = {
        target.workload: {"id": target.workload_id, "roots": [str(root) for root in target.roots]}
        for target in targets
    }
    path, new = run / "workloads.json", run / "workloads.json.new"
    try:
        new.write_text(
            json.dumps({"format": FORMAT, "workloads": plain}, indent=1), encoding="utf-8"
        )
        new.replace(path)
    except OSError as error:
        raise WorkloadsError(path, error.strerror) from error


def read(run: Path) -> dict[str, Target]:
    """Return every watched workload by name, none if no agent ever ran; raises WorkloadsError."""
    path = run / "workloads.json"
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
        if plain["format"] != FORMAT:
            raise WorkloadsError(path, f"its format {plain['format']} is of another version")
        return {
            name: _target(name, entry["id"], entry["roots"])
            for name, entry in plain["workloads"].items()
        }
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise WorkloadsError(path, error.strerror) from error
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise WorkloadsError(path, f"it is damaged ({error})") from error


def find(run: Path, name: str) -> Target:
    """Return the workload called `name`; raises UnknownError or WorkloadsError."""
    targets = read(run)
    if name not in targets:
        raise UnknownError("workload", name)
    return targets[name]


def assign(name: str, known: Mapping[str, int], limit: int) -> int:
    """Return the number for `name`: the one it has, else the lowest free one.

    A number must never move to another workload while a containment names it.

    Args:
        name: Of the workload.
        known: Numbers in use, by name; with those of live containments.
        limit: MAX_WORKLOADS of the kernel object; numbers are below it.

    Raises:
        TooManyWorkloadsError: All are taken.
    """
    if name in known:
        return known[name]
    free = set(range(FIRST_ID, limit)).difference(known.values())
    if not free:
        raise TooManyWorkloadsError(limit - FIRST_ID)
    return min(free)


def _target(name: str, workload_id: int, roots: Iterable[str]) -> Target:
    return Target(name, int(workload_id), tuple(ProcessId.parse(root) for root in roots))
