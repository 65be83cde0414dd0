from agent.response.breaker import Breaker
from agent.response.containment import NANOSECONDS, Containment, Step, Target

NOW_NS = 1_000_000 * NANOSECONDS


def begun(ago_s: float) -> Containment:
    return Containment(
        id=f"c{ago_s}",
        target=Target("w", 1),
        step=Step.FREEZE,
        reason="",
        who="agent",
        boot="",
        begun_unix_ns=NOW_NS - int(ago_s * NANOSECONDS),
        until_ns=0,
    )


def test_it_opens_with_the_last_permitted_containment() -> None:
    breaker = Breaker(limit=3, window_s=600)
    assert not breaker.open([begun(1), begun(2)], NOW_NS)
    assert breaker.open([begun(1), begun(2), begun(3)], NOW_NS)


def test_it_closes_as_containments_age() -> None:
    assert not Breaker(limit=3, window_s=600).open([begun(1), begun(2), begun(601)], NOW_NS)


def test_a_clock_set_back_does_not_reset_it() -> None:
    assert Breaker(limit=2, window_s=600).open([begun(-5000), begun(-1)], NOW_NS)
