"""What is worth a verdict: news at once, what goes on unchanged once a minute."""

from agent.daemon.telling import REPEAT_S, Telling
from detectors.assessment import Assessment, BaselineState, Level, NovelItem
from detectors.window import ItemKind, Phase, Window

NS = 1_000_000_000


def window(at_s: float) -> Window:
    return Window("w", int(at_s * NS), 1.0, Phase.STEADY, 0, {}, (), ())


def novel(item: str, role: str = "main") -> NovelItem:
    return NovelItem(
        ItemKind.PEER, item, sensitive=False, count=1, pid=1, role=role, reason="", techniques=(),
        time_ns=0, exe="", level=Level.HIGH,
    )  # fmt: skip


def assessed(level: Level, *items: NovelItem) -> Assessment:
    state = BaselineState.GUARDING
    return Assessment(state, level, None, None, None, 0.0, (), items, (), (), "")


def worth(telling: Telling, at_s: float, level: Level, *items: NovelItem) -> bool:
    return telling.worth(assessed(level, *items), window(at_s), acted=False)


def test_an_ordinary_window_is_worth_nothing() -> None:
    assert not worth(Telling(), 100, Level.INFO)


def test_the_first_unusual_window_is_news() -> None:
    assert worth(Telling(), 100, Level.LOW)


def test_a_score_that_stays_unusual_is_told_again_after_a_minute_only() -> None:
    telling = Telling()
    told = [at for at in range(100, 240, 5) if worth(telling, at, Level.MEDIUM)]
    assert told == [100, 165, 230]
    assert REPEAT_S == 60.0


def test_what_gets_worse_is_told_at_once() -> None:
    telling = Telling()
    assert worth(telling, 100, Level.LOW)
    assert worth(telling, 101, Level.HIGH)
    assert not worth(telling, 102, Level.LOW)


def test_a_return_to_the_ordinary_makes_the_next_deviation_news() -> None:
    telling = Telling()
    worth(telling, 100, Level.LOW)
    worth(telling, 101, Level.INFO)
    assert worth(telling, 102, Level.LOW)


def test_the_same_act_in_a_loop_is_told_once_and_another_act_at_once() -> None:
    telling = Telling()
    assert worth(telling, 100, Level.HIGH, novel("tcp 127.0.0.1:1"))
    assert not worth(telling, 101, Level.HIGH, novel("tcp 127.0.0.1:1"))
    assert worth(telling, 102, Level.HIGH, novel("tcp 127.0.0.1:2"))


def test_the_same_act_in_another_role_is_news() -> None:
    telling = Telling()
    worth(telling, 100, Level.HIGH, novel("tcp 127.0.0.1:1"))
    assert worth(telling, 101, Level.HIGH, novel("tcp 127.0.0.1:1", "unknown-child"))


def test_what_was_acted_on_is_always_told() -> None:
    telling = Telling()
    worth(telling, 100, Level.HIGH, novel("tcp 127.0.0.1:1"))
    same = assessed(Level.HIGH, novel("tcp 127.0.0.1:1"))
    assert telling.worth(same, window(101), acted=True)
