"""Verdicts for people: a line each, or one in full."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final

from agent.render.amounts import amount, duration, moment, quantity
from agent.render.inert import inert_values
from agent.render.table import paint, strong, table

Verdict = Mapping[str, Any]

RECORDS: Final = "Records around it"
"""Title of the section that a drawn timeline belongs to."""

_MS: Final = 1_000_000
_NS: Final = 1_000_000_000
_MAX_FEATURES: Final = 6
_MAX_SEQUENCES: Final = 5
_MAX_NOVEL: Final = 20


def verdict_table(verdicts: Iterable[Verdict], *, colour: bool = False, hosts: bool = False) -> str:
    """Write a line for each verdict, in the order given; with `hosts`, also whose it is."""
    rows = [
        (
            moment(v["time_ns"]),
            *((v["host"],) if hosts else ()),
            v["level"],
            v["workload"],
            v["summary"],
            (v.get("response") or {}).get("action", ""),
            v["id"],
        )
        for v in verdicts
    ]
    if not rows:
        return "No verdicts."
    host = ("host",) if hosts else ()
    return table(("time", *host, "level", "workload", "what", "done", "id"), rows, colour=colour)


def explanation(verdict: Verdict, *, colour: bool = False) -> str:
    """Write one verdict in full, in the order in which a person on call needs it."""
    verdict = inert_values(verdict)
    level = paint(verdict["level"], colour=colour)
    parts = [f"{verdict['summary']}\n{level} {whereabouts(verdict)}"]
    for title, lines in sections(verdict):
        parts.append("\n".join([strong(title, colour=colour), *(f"  {line}" for line in lines)]))
    return "\n\n".join(parts)


def whereabouts(verdict: Verdict) -> str:
    """Return when and where it was, without its level."""
    engine = verdict.get("engine") or "no known engine"
    where = f"in {verdict['workload']} ({engine}) on {verdict['host']}"
    return f"at {moment(verdict['time_ns'])} {where}"


def sections(verdict: Verdict) -> Iterator[tuple[str, list[str]]]:
    """Yield titles and lines in the order in which they are needed; none that says nothing."""
    for title, lines in _sections(verdict):
        if found := list(lines):
            yield title, found


def _sections(verdict: Verdict) -> Iterator[tuple[str, Iterable[str]]]:
    yield "Never seen before", _novel(verdict.get("novel", ()))
    yield "Against what was learned", _features(verdict.get("features", ()))
    yield "Sent on its own connections", _uploads(verdict.get("uploads", ()))
    yield "Unusual call sequences", _sequences(verdict.get("sequences", ()))
    yield "Process", _tree(verdict.get("process") or {})
    yield RECORDS, _records(verdict.get("records", ()), verdict["time_ns"])
    yield "Stack of the call", _stack(verdict.get("stack", ()))
    editions = verdict.get("techniques_edition") or {}
    yield "Techniques", _techniques(verdict.get("techniques", ()), editions)
    yield "Evidence", _evidence(verdict)
    yield "What was done", _response(verdict)


def _novel(items: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for item in items[:_MAX_NOVEL]:
        role = item.get("role") or "main"
        who = "process" if role == "main" else f"the {role} process"
        deed = item.get("deed") or f"{item['kind']} {item['item']}"
        words = f"{deed}, by {who} {item['pid']}"
        if where := item.get("host_path"):
            words += f", on the host {where}"
        if item["count"] > 1:
            words += f", {item['count']} times"
        if reason := item.get("reason") or ("a sensitive thing" if item["sensitive"] else ""):
            words += f": {reason}"
        yield words
    if len(items) > _MAX_NOVEL:
        yield f"and {len(items) - _MAX_NOVEL} more"


def _features(features: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for feature in features[:_MAX_FEATURES]:
        value, low, high = (
            quantity(feature[name], feature["unit"])
            for name in ("value", "learned_low", "learned_high")
        )
        share = "" if feature["share"] is None else f" (share {feature['share']:.0%})"
        yield f"{feature['name']} {value}, learned {low} to {high}{share}"
    if rest := [feature["share"] or 0.0 for feature in features[_MAX_FEATURES:]]:
        yield f"{len(rest)} more readings (share {sum(rest):.0%})"


def _uploads(uploads: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for upload in uploads:
        sent, total = (quantity(upload[name], "B") for name in ("bytes", "total_bytes"))
        yield f"{sent} to {upload['peer']}, {total} so far"


def _sequences(sequences: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for gram in sequences[:_MAX_SEQUENCES]:
        rarity = "rare" if gram.get("seen") else "never seen"
        bits = quantity(gram["surprisal_bits"], "bits")
        yield f"{' > '.join(gram['calls'])} ({rarity}, {bits}, {gram['count']} times)"


def _tree(process: Mapping[str, Any]) -> Iterator[str]:
    """Write the tree down to the process; `ancestry` begins with its parent."""
    if not process:
        return
    elders = [
        elder for elder in reversed(process.get("ancestry", ())) if elder["pid"] != process["pid"]
    ]
    for depth, node in enumerate([*elders, process]):
        role = f" [{node['role']}]" if node.get("role") else ""
        branch = "   " * (depth - 1) + "└─ " if depth else ""
        yield f"{branch}{node['pid']} {node['exe'] or '?'}{role}"
    if command := " ".join(process.get("cmdline", ())):
        yield f"command: {command}"
    yield f"user {process.get('uid', '?')}, cgroup {process.get('cgroup') or '?'}"


def _records(records: Sequence[Mapping[str, Any]], time_ns: int) -> Iterator[str]:
    for record in records:
        words = f"{record['kind']} {record['item']}, process {record['pid']} {record['comm']}"
        added = (f"{name} {amount}" for name, amount in record.get("fields", {}).items())
        marks = ", ".join([*record.get("marks", ()), *added])
        ms = (record["time_ns"] - time_ns) / _MS
        yield f"{ms:+10.1f} ms  {words}" + (f" ({marks})" if marks else "")


def _stack(frames: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    for frame in frames:
        yield f"{frame['address']:#014x}  {frame['symbol']}  {frame['module']}"


def _techniques(techniques: Sequence[str], editions: Mapping[str, str]) -> Iterator[str]:
    atlas = [name for name in techniques if name.startswith("AML.")]
    attack = [name for name in techniques if not name.startswith("AML.")]
    if attack:
        yield f"{editions.get('attack', 'ATT&CK')}: {', '.join(attack)}"
    if atlas:
        yield f"{editions.get('atlas', 'ATLAS')}: {', '.join(atlas)}"


def _evidence(verdict: Verdict) -> Iterator[str]:
    if verdict.get("p_value") is not None:
        yield f"ordinary windows at least as unusual: {verdict['p_value']:.3%}"
    if verdict.get("budget_spent") is not None:
        yield f"false-alarm budget spent: {verdict['budget_spent']:.1%}"
    if (bits := verdict.get("likeness_bits") or 0.0) >= 1:
        yield f"attacks make its new call sequences likelier than it does, by {bits:.0f} bits"
    if lost := verdict.get("window", {}).get("lost"):
        yield f"lost in this window: {lost} records, so this may not be all"
    if crowds := verdict.get("window", {}).get("summarised"):
        yield f"beyond its pace in this window: {crowds} records, told by directory"
    baseline = verdict.get("baseline") or {}
    if baseline:
        windows = amount("windows", baseline.get("windows"))
        yield f"baseline: {_age(verdict)}{baseline.get('state', 'unknown')}, {windows} windows"
    if baseline.get("coverage") is not None:
        yield f"baseline covers {baseline['coverage']:.1%} of what the kernel counted"


def _age(verdict: Verdict) -> str:
    learned_ns = verdict["baseline"].get("learned_unix_ns")
    if not learned_ns:
        return ""
    return f"{duration(max(0, verdict['time_ns'] - learned_ns) / _NS)} old, "


def _response(verdict: Verdict) -> Iterator[str]:
    response = verdict.get("response") or {}
    yield f"{response.get('action') or 'nothing'}: {response.get('state') or 'not asked for'}"
    if response.get("reason"):
        yield f"why not {response.get('wanted', 'more')}: {response['reason']}"
    if would := response.get("would"):
        pids = ", ".join(map(str, would.get("processes", ()))) or "none"
        yield f"would reach processes {pids}" + (
            f"; cgroup {would['cgroup']}" if would.get("cgroup") else ""
        )
        if would.get("refused"):
            yield f"would be refused: {would['refused']}"
    for act in response.get("reflex", ()):
        yield f"the kernel: {act['act']} {act['item']}, {act['outcome']}, process {act['pid']}"
    if response.get("frozen_ms") is not None and response["action"] != "reflex":
        held = len(response.get("held", ()))
        yield f"frozen: {held} processes, {response['frozen_ms']:.1f} ms after the first record"
    if running := response.get("still_running"):
        yield f"still running: {amount('', running)}"
    if response.get("undo"):
        yield f"undo:    {response['undo']}"
    yield f"approve: agent baseline approve {verdict['workload']} --verdict {verdict['id']}"
