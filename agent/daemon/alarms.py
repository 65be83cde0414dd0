"""Verdicts about the agent itself: somebody took its eyes away, and it cannot know who."""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.daemon.verdicts import TECHNIQUES_EDITION
from agent.verdict_id import verdict_id

NAME: Final = "inferward-agent"
"""Of the workload, in verdicts about the agent."""

TECHNIQUE: Final = "T1562.001"
"""Impair Defenses: Disable or Modify Tools."""


def alarm(  # noqa: PLR0913 - the parts of a verdict
    host: str,
    span_ns: tuple[int, int],
    process: Mapping[str, Any],
    what: Sequence[str],
    done: str,
    *,
    level: str = "high",
    about: str = "the agent's own eyes",
    why: str = "the agent did not do this, and who did cannot be known",
    techniques: Sequence[str] = (TECHNIQUE,),
) -> dict[str, Any]:
    """Plain values in the form of every verdict; nothing of it was scored.

    Args:
        host: This one.
        span_ns: Unix time of the last look that found everything in order, and of this one.
        process: The agent's own.
        what: What is not as it was, one sentence each.
        done: What the agent did about it.
        level: How grave it is.
        about: What of the agent it is about.
        why: What makes it grave.
        techniques: Of ATT&CK.
    """
    start_ns, time_ns = span_ns
    pid = int(process.get("pid", 0))
    grounds = {"reason": why, "techniques": list(techniques)}
    more = f" and {len(what) - 1} more" if len(what) > 1 else ""
    return {
        "id": verdict_id(time_ns, host, NAME, time_ns),
        "host": host,
        "time_ns": time_ns,
        "workload": NAME,
        "engine": "agent",
        "level": level,
        "state": "guarding",
        "phase": "steady",
        "score": None,
        "p_value": None,
        "e_value": None,
        "budget_spent": 0.0,
        "window": {
            "start_ns": start_ns,
            "length_s": round((time_ns - start_ns) / 1e9, 3),
            "lost": 0,
            "losses": {},
        },
        "features": [],
        "novel": [_novel(words, time_ns, pid, level) | grounds for words in what],
        "sequences": [],
        "process": dict(process),
        "records": [],
        "techniques": list(techniques),
        "techniques_edition": TECHNIQUES_EDITION,
        "baseline": {},
        "summary": f"{about}: {what[0]}{more}; {done}",
        "response": {"action": "alert", "state": "done", "containment": "", "undo": "",
                     "wanted": "alert", "reason": done},
    }  # fmt: skip


def _novel(words: str, time_ns: int, pid: int, level: str) -> dict[str, Any]:
    return {
        "kind": "probe",
        "item": words,
        "sensitive": True,
        "count": 1,
        "pid": pid,
        "role": "main",
        "exe": "",
        "level": level,
        "time_ns": time_ns,
    }
