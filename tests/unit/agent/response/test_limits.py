from agent.config.schema import Response, Settings, Steps, Upload, Workload
from agent.response.containment import Step
from agent.response.limits import MIB, clients_cut, steps_by_level, upload_limits
from agent.response.policy import EARNED
from detectors.assessment import Level


def test_a_workload_is_limited_by_its_own_table_where_it_has_one() -> None:
    own = Workload(name="embedder", upload=Upload(public_mib_per_hour=0.5))
    settings = Settings(upload=Upload(public_mib_per_hour=8.0), workload=(own,))
    assert upload_limits(settings, "embedder")["public"] == MIB // 2
    assert upload_limits(settings, "other")["public"] == 8 * MIB


def test_loopback_is_never_limited() -> None:
    assert "loopback" not in upload_limits(Settings(), "any")
    assert all(upload_limits(Settings(), "any").values())


def test_clients_are_kept_unless_somebody_says_otherwise() -> None:
    kept = Workload(name="embedder", clients="keep")
    settings = Settings(response=Response(clients="cut"), workload=(kept,))
    assert not clients_cut(Settings(), "any")
    assert clients_cut(settings, "other")
    assert not clients_cut(settings, "embedder")


def test_the_steps_that_levels_earn_are_the_operators_by_workload() -> None:
    own = Workload(name="embedder", steps=Steps(high="freeze", critical="limit"))
    settings = Settings(steps=Steps(medium="contain"), workload=(own,))
    assert steps_by_level(Settings(), "any") == EARNED
    assert steps_by_level(settings, "other")[Level.MEDIUM] is Step.CONTAIN
    earned = steps_by_level(settings, "embedder")
    assert (earned[Level.HIGH], earned[Level.CRITICAL]) == (Step.FREEZE, Step.LIMIT)
    assert earned[Level.INFO] is Step.OBSERVE
