"""What the kernel answered, as a verdict tells it."""

from agent.daemon.hands import unanswered
from agent.daemon.reflex_verdicts import Repeats, judged, response
from agent.response.containment import Step
from agent.response.policy import Decision
from collectors.sightings import Sighting
from detectors.assessment import Assessment, BaselineState, Level

S = 1_000_000_000
NOTHING = unanswered(Decision(Step.ALERT, Step.ALERT, ""))


def seen(outcome: str, act: str = "exec", item: str = "/bin/sh", pid: int = 9) -> Sighting:
    return Sighting(
        f"reflex-{act}", item, 1, 0, 5, pid, 1, 0, 3, 0, "x", marks=frozenset({outcome})
    )


def calm() -> Assessment:
    state = BaselineState.GUARDING
    return Assessment(state, Level.INFO, None, None, None, 0.0, (), (), (), (), "nothing unusual")


def test_an_answer_is_high_and_said_first() -> None:
    found = judged(calm(), [seen("denied"), seen("denied", "connect", "tcp 1.2.3.4:5")], news=True)
    assert (found.level, found.announces) == (Level.HIGH, True)
    words = "a reflex denied exec /bin/sh, connect tcp 1.2.3.4:5; nothing unusual"
    assert found.summary == words


def test_what_was_let_pass_for_too_many_is_critical_and_said_before_the_rest() -> None:
    found = judged(calm(), [seen("stopped"), seen("spared", item="/bin/cat")], news=True)
    assert found.level is Level.CRITICAL
    assert found.summary.startswith(
        "a reflex let pass, after too many different ones, exec /bin/cat"
    )


def test_what_was_told_lately_announces_nothing() -> None:
    repeats = Repeats()
    assert repeats.news([seen("denied")], S)
    assert not repeats.news([seen("denied"), seen("denied")], 2 * S)
    assert repeats.news([seen("denied"), seen("denied", item="/bin/cat")], 3 * S)
    assert repeats.news([seen("denied")], 70 * S)
    assert not judged(calm(), [seen("denied")], news=False).announces


def test_a_denial_is_undone_by_approving_it() -> None:
    told = response(NOTHING, [seen("denied")], workload="w", verdict="01J")
    assert (told["action"], told["state"]) == ("reflex", "done")
    assert told["undo"] == told["approve"] == "agent baseline approve w --verdict 01J"
    assert told["reflex"] == [
        {"act": "exec", "item": "/bin/sh", "outcome": "denied", "pid": 9},
    ]


def test_a_stop_is_undone_by_a_release() -> None:
    plain = NOTHING | {"action": "reflex", "containment": "c1", "undo": "agent release c1"}
    told = response(plain, [seen("stopped")], workload="w", verdict="01J")
    assert (told["state"], told["undo"]) == ("done", "agent release c1")
    assert told["approve"] == "agent baseline approve w --verdict 01J"


def test_a_step_of_the_agents_own_stays_the_action() -> None:
    plain = NOTHING | {"action": "freeze", "undo": "agent release c1"}
    told = response(plain, [seen("denied")], workload="w", verdict="01J")
    assert (told["action"], told["undo"]) == ("freeze", "agent release c1")
    assert told["reflex"]


def test_a_rehearsal_would_and_a_spared_act_says_so() -> None:
    states = [
        response(NOTHING, acts, workload="w", verdict="01J")["state"]
        for acts in ([seen("rehearsed")], [seen("spared"), seen("rehearsed")])
    ]
    assert states == ["would", "spared"]
