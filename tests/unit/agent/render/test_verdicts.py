"""One verdict in full: everything a person on call needs, in order."""

from typing import Any

from agent.render.verdicts import explanation, verdict_table

VERDICT: dict[str, Any] = {
    "id": "01JABC",
    "host": "h1",
    "time_ns": 1_700_000_000_000_000_000,
    "workload": "embedder",
    "engine": "onnxruntime",
    "level": "critical",
    "score": 7.5,
    "p_value": 0.0005,
    "budget_spent": 0.25,
    "window": {"start_ns": 1, "length_s": 1.0, "lost": 3},
    "features": [
        {
            "name": "bytes_out_initiated",
            "unit": "B/s",
            "value": 204_800.0,
            "learned_low": 0.0,
            "learned_high": 1024.0,
            "share": 0.8,
        }
    ],
    "novel": [
        {
            "kind": "exec",
            "item": "/bin/sh",
            "sensitive": True,
            "count": 2,
            "pid": 12,
            "reason": "a shell below a model server",
        }
    ],
    "uploads": [{"peer": "tcp 198.51.100.9:443", "bytes": 153_600, "total_bytes": 2_097_152}],
    "sequences": [
        {
            "role": "main",
            "calls": ["socket", "connect", "dup2"],
            "count": 1,
            "surprisal_bits": 31.2,
            "seen": False,
        }
    ],
    "process": {
        "pid": 12,
        "exe": "/bin/sh",
        "cmdline": ["sh", "-c", "id"],
        "uid": 1000,
        "cgroup": "/x",
        "ancestry": [
            {"pid": 11, "exe": "/usr/bin/python3", "role": "main"},
            {"pid": 1, "exe": "/sbin/init"},
        ],
    },
    "records": [
        {
            "time_ns": 1_700_000_000_001_500_000,
            "kind": "exec",
            "item": "/bin/sh",
            "pid": 12,
            "comm": "sh",
            "marks": ["stdio-socket"],
        }
    ],
    "techniques": ["T1059", "AML.T0050"],
    "techniques_edition": {"attack": "ATT&CK v17", "atlas": "ATLAS v5.6.0"},
    "summary": "A shell ran below the model server.",
    "baseline": {
        "learned_unix_ns": 1_699_992_800_000_000_000,
        "state": "guarding",
        "windows": 5000,
        "coverage": 0.991,
    },
    "response": {
        "action": "freeze",
        "state": "done",
        "containment": "c1",
        "undo": "agent release c1",
        "frozen_ms": 12.34,
        "held": [11, 12],
    },
}


def test_an_explanation_goes_from_the_sentence_to_the_way_back() -> None:
    text = explanation(VERDICT)
    order = (
        "A shell ran below the model server.",
        "exec /bin/sh, by process 12, 2 times: a shell below a model server",
        "bytes_out_initiated 200.0 KiB/s, learned 0 B/s to 1.0 KiB/s (share 80%)",
        "150.0 KiB to tcp 198.51.100.9:443, 2.0 MiB so far",
        "socket > connect > dup2 (never seen, 31.2 bits, 1 times)",
        "1 /sbin/init",
        "└─ 11 /usr/bin/python3 [main]",
        "   └─ 12 /bin/sh",
        "command: sh -c id",
        "+1.5 ms  exec /bin/sh, process 12 sh (stdio-socket)",
        "ATT&CK v17: T1059",
        "ATLAS v5.6.0: AML.T0050",
        "baseline: 2 h old, guarding, 5,000 windows",
        "baseline covers 99.1%",
        "freeze: done",
        "frozen: 2 processes, 12.3 ms after the first record",
        "undo:    agent release c1",
        "approve: agent baseline approve embedder --verdict 01JABC",
    )
    places = [text.find(line) for line in order]
    assert -1 not in places, order[places.index(-1)]
    assert places == sorted(places)


def test_loss_in_the_window_is_told() -> None:
    assert "lost in this window: 3 records" in explanation(VERDICT)


def test_a_verdict_with_nothing_but_its_duties_is_explained() -> None:
    keys = ("id", "host", "time_ns", "workload", "engine", "level", "summary")
    text = explanation({key: VERDICT[key] for key in keys})
    assert "nothing: not asked for" in text
    assert "Never seen before" not in text


def test_an_action_that_was_not_allowed_says_why() -> None:
    response = {
        "action": "alert",
        "state": "done",
        "wanted": "kill",
        "reason": "the baseline is shadow; only a guarding one acts",
    }
    assert "why not kill: the baseline is shadow" in explanation({**VERDICT, "response": response})


def test_unknown_is_not_zero() -> None:
    text = explanation({**VERDICT, "p_value": None, "features": [], "baseline": {}})
    assert "ordinary windows" not in text
    assert "baseline:" not in text


def test_a_table_has_a_line_for_each_verdict() -> None:
    lines = verdict_table([VERDICT, VERDICT], hosts=True).splitlines()
    assert len(lines) == 3
    assert lines[1].split()[2:5] == ["h1", "critical", "embedder"]


def test_no_verdicts_are_a_sentence() -> None:
    assert verdict_table([]) == "No verdicts."
