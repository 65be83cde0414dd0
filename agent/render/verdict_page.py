"""One verdict as one web page: nothing is fetched, nothing runs, and no name in it is markup."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from typing import Any, Final

from agent.render.inert import inert_values
from agent.render.timeline import timeline
from agent.render.verdicts import RECORDS, sections, whereabouts

_POLICY: Final = (
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"
)
"""Should a name ever get past the escaping, a browser runs and loads nothing."""

_STYLE: Final = """
:root { color-scheme: light dark; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.35rem; line-height: 1.35; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 1.6rem 0 .3rem; border-bottom: 1px solid #8884; }
.level { padding: 0 .6em; border-radius: .3em; color: #fff; background: #5f6368; }
.critical, .high { background: #b3261e; }
.medium { background: #b25e09; }
.low { background: #3b6fb6; }
pre { margin: .2rem 0; white-space: pre-wrap; overflow-wrap: anywhere; }
pre, svg { font: 13px/1.5 ui-monospace, monospace; }
svg { max-width: 100%; height: auto; font-size: 11px; }
svg text { fill: currentColor; }
.tick, .lane { stroke: #8884; }
text.tick { stroke: none; opacity: .7; }
.zero { stroke: #b3261e; stroke-dasharray: 4 3; }
@media print { body { margin: 0; max-width: none; } }
"""


def verdict_page(verdict: Mapping[str, Any]) -> str:
    """Return the page, in the order of the text that `agent explain` prints."""
    verdict = inert_values(verdict)
    level = escape(verdict["level"])
    body = [
        f"<h1>{escape(verdict['summary'])}</h1>",
        f'<p><span class="level {level}">{level}</span> {escape(whereabouts(verdict))}</p>',
    ]
    for title, lines in sections(verdict):
        body.append(f"<h2>{escape(title)}</h2>")
        if title == RECORDS:
            body.append(timeline(verdict.get("records", ()), verdict["time_ns"]))
        body.append("<pre>" + "\n".join(escape(line) for line in lines) + "</pre>")
    body.append(f"<p>Verdict {escape(verdict['id'])}, written by inferward.</p>")
    return _page(f"{verdict['workload']}: {verdict['level']}", "\n".join(body))


def _page(title: str, body: str) -> str:
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n"
        f"<body>\n{body}\n</body>\n</html>\n"
    )
