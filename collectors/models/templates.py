"""Chat templates: Jinja that runs in the server at each request.

Loaders that render outside Jinja's sandbox let a template reach Python itself; inside the sandbox
it can still change what the model is asked.
"""

from __future__ import annotations

import re
from typing import Final

from collectors.models.findings import Severity

TEMPLATE_MAX: Final = 4 << 20
_CODE: Final = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_TEXT: Final = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)

# Ways from a template's values to Python's modules; no chat format needs one.
_DANGER: Final = (
    (r"__\w+__", "a Python internal by name"),
    (r"\|\s*attr\b", "the attr filter, which goes around the sandbox's names"),
    (r"\b(cycler|joiner|lipsum|get_flashed_messages)\b", "a global that leads to Python's modules"),
    (r"\b(self|request|config)\s*(\.\s*_|\[)", "an object of the engine"),
    (r"\b(os|subprocess|sys|importlib|builtins)\s*\.", "a Python module"),
    (r"\b(popen|eval|exec|getattr|import_module|mro|func_globals|gi_frame)\b", "a way to run code"),
    (r"\.\s*system\s*\(", "a way to run code"),
)  # fmt: skip
_ODD: Final = (
    (r"\{%-?\s*(include|import|from|extends)\b", "reads another template"),
    (r"https?://", "carries an address"),
    (r"\brange\s*\(\s*\d{6,}", "counts far enough to hold up the server"),
    (r"(?i)\bignore (all |any )?(previous|prior|above) instructions", "instructs the model itself"),
    (r"[\u200b\u200e\u200f\u202a-\u202e\u2060-\u2064\U000e0000-\U000e007f]", "hides characters"),
)  # fmt: skip


def judge(template: str) -> tuple[Severity, str] | None:
    """Return how bad a template is and why; None when it does what templates do."""
    blocks = _CODE.findall(template[:TEMPLATE_MAX])
    for block in blocks:
        bare = _TEXT.sub("''", block)
        for pattern, why in _DANGER:
            if re.search(pattern, bare):
                return Severity.DANGER, f"it uses {why}: {_short(block)}"
        # Internals spelled as text are subscripts or arguments to a filter.
        if any("__" in text for text in _TEXT.findall(block)):
            return Severity.DANGER, f"it spells a Python internal: {_short(block)}"
    for pattern, why in _ODD:
        if found := re.search(pattern, template):
            around = template[max(0, found.start() - 20) : found.end() + 40]
            return Severity.WARNING, f"it {why}: {_short(around)}"
    if len(template) > TEMPLATE_MAX:
        return Severity.WARNING, f"it is longer than {TEMPLATE_MAX} characters"
    return None


def _short(text: str) -> str:
    line = " ".join(text.split())
    return ascii(line if len(line) <= 120 else line[:120] + "…")  # noqa: PLR2004 (one line)
