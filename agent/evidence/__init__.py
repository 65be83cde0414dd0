"""What remains to be looked at: a bundle of facts about a verdict's or containment's processes.

Everything about a process is read by a child of its own, which can be killed: a
process decides what its memory and files answer with, and when.
"""

from agent.evidence.bounds import Bounds
from agent.evidence.collect import Collected, collect
from agent.evidence.errors import EvidenceError, UnknownSubjectError

__all__ = ["Bounds", "Collected", "EvidenceError", "UnknownSubjectError", "collect"]
