"""Which windows are worth a verdict: the same question live and in a replay."""

from dataclasses import dataclass, field
from typing import Final

from detectors.assessment import Assessment, Level, NovelItem
from detectors.window import Window

REPEAT_S: Final = 60.0
"""What goes on unchanged is told again after this long, or when it gets worse."""

_NS: Final = 1_000_000_000

Act = tuple[str, str, str]
"""Role, kind and item."""


@dataclass(slots=True)
class Telling:
    """Remembers what was told of one workload.

    Attributes:
        level: Of the latest verdict; info again once a window was ordinary.
        told_ns: End of its window, CLOCK_MONOTONIC.
        acts: What was told of lately, with the end of its window: a loop is not a new verdict
            each second.
    """

    level: Level = Level.INFO
    told_ns: int = 0
    acts: dict[Act, int] = field(default_factory=dict)

    def worth(self, assessment: Assessment, window: Window, *, acted: bool) -> bool:
        """Whether to tell of this window: what was acted on always, else what is news."""
        worth = acted or self._news(assessment, window)
        if worth:
            self._remember(assessment, window)
            self.level, self.told_ns = assessment.level, window.end_ns
        elif assessment.level < Level.LOW:
            self.level = Level.INFO
        return worth

    def _news(self, assessment: Assessment, window: Window) -> bool:
        if assessment.level < Level.LOW:
            return False
        if (
            assessment.announces
            or assessment.level > self.level
            or self._late(self.told_ns, window)
        ):
            return True
        return any(
            item.level >= Level.LOW and self._late(self.acts.get(_act(item), 0), window)
            for item in assessment.novel
        )

    def _remember(self, assessment: Assessment, window: Window) -> None:
        kept = {act: told for act, told in self.acts.items() if not self._late(told, window)}
        self.acts = kept | {_act(item): window.end_ns for item in assessment.novel}

    @staticmethod
    def _late(told_ns: int, window: Window) -> bool:
        return window.end_ns - told_ns > REPEAT_S * _NS


def _act(item: NovelItem) -> Act:
    return item.role, item.kind.value, item.item
