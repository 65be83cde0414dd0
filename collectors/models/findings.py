"""What a scan says about a file, and what a person can do about it."""

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class Severity(StrEnum):
    """How much it matters."""

    NOTICE = "notice"  # worth knowing: the format can carry code
    WARNING = "warning"  # code we do not know runs when it is loaded, or it could not be judged
    DANGER = "danger"  # code that no model needs runs when it is loaded

    @property
    def rank(self) -> int:
        """0 for notice, 2 for danger."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Rule:
    """One thing a scan looks for. Techniques are of MITRE ATLAS data v5.6.0."""

    title: str
    advice: str
    techniques: tuple[str, ...] = ()


RUNS = ("AML.T0011.000", "AML.T0018.002")  # unsafe artifact; malware embedded in a model
BROKEN = ("AML.T0076",)  # a model corrupted to stop scanners
CHANGED = ("AML.T0018.000", "AML.T0018.001")  # weights or architecture manipulated

RULES = {
    "pickle-danger": Rule(
        "Loading it runs code that no model needs",
        "do not load it; delete it and find out who put it there",
        RUNS,
    ),
    "pickle-unknown": Rule(
        "Loading it imports code this scan does not know",
        "look at the named code, or ask its publisher for safetensors",
        ("AML.T0011.000",),
    ),
    "pickle-present": Rule(
        "Its format can carry code",
        "convert it to safetensors, or trust its directory so that a change is noticed",
    ),
    "broken": Rule(
        "It breaks off or contradicts itself",
        "treat it as hostile: loaders run what comes before the break; fetch it anew and compare",
        BROKEN,
    ),
    "unread": Rule(
        "It could not be looked at",
        "make it readable, or unpack it, and scan again; until then it is not judged",
        BROKEN,
    ),
    "array-objects": Rule(
        "The array holds Python objects, which are a pickle",
        "store numbers, and load with allow_pickle=False",
        ("AML.T0011.000",),
    ),
    "wrong-format": Rule(
        "Its content is of another format than its name says, or of two at once",
        "do not load it by its name; find out who made it so",
        BROKEN,
    ),
    "start-code": Rule(
        "Its lines are Python that every start of Python runs",
        "delete it, unless an installed package owns it: no weights look like this",
        ("AML.T0011.001",),
    ),
    "index-escape": Rule(
        "Its index leads out of its directory",
        "do not load it: it makes the server read a file of its choice",
        ("AML.T0011.000",),
    ),
    "keras-lambda": Rule(
        "A Keras layer carries Python code",
        "load with safe_mode=True, or have the layer rewritten as a class",
        RUNS,
    ),
    "config-code": Rule(
        "Its configuration names code to import",
        "do not load it unless the named code is yours",
        RUNS,
    ),
    "remote-code": Rule(
        "Its configuration asks for Python of its own",
        "read that Python; serve it without trust_remote_code where the engine knows the model",
        ("AML.T0011.000",),
    ),
    "code-beside": Rule(
        "Python stands beside the weights",
        "read it: an engine told to trust the repository runs it",
    ),
    "archive-code": Rule(
        "The archive carries Python that the server runs",
        "read the handler before registering the archive",
        ("AML.T0011.000",),
    ),
    "template-danger": Rule(
        "The chat template reaches for Python's internals",
        "do not serve it; replace the template by the publisher's",
        RUNS,
    ),
    "template-odd": Rule(
        "The chat template does what templates do not need",
        "compare it with the publisher's: it can change every prompt",
        ("AML.T0018.000",),
    ),
    "safetensors-header": Rule(
        "Its header breaks the format's rules",
        "fetch it anew; loaders differ in what they make of it",
        BROKEN,
    ),
    "gguf-header": Rule(
        "Its header breaks the format's rules",
        "fetch it anew; such headers have overflowed loaders",
        BROKEN,
    ),
    "onnx-escape": Rule(
        "It reads tensor data from outside its directory",
        "do not load it: it makes the server read a file of its choice",
        ("AML.T0011.000",),
    ),
    "onnx-custom": Rule(
        "It needs operators that ONNX does not define",
        "a native library must be loaded for it: look where that comes from",
    ),
    "graph-operator": Rule(
        "The graph has operators that reach files or Python",
        "find out why the model needs them before serving it",
        ("AML.T0011.000",),
    ),
    "link-outside": Rule(
        "A symbolic link leads out of the directory",
        "copy what it leads to into the directory; it is not looked at where it is",
        CHANGED,
    ),
    "unfinished": Rule(
        "The scan stopped at its bound",
        "scan the parts one by one",
    ),
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing found in one file, by a name of RULES. `part` names the member of an archive."""

    path: Path
    rule: str
    severity: Severity
    words: str
    part: str = ""

    @property
    def advice(self) -> str:
        """What to do about it."""
        return RULES[self.rule].advice

    @property
    def techniques(self) -> tuple[str, ...]:
        """MITRE ATLAS identifiers."""
        return RULES[self.rule].techniques
