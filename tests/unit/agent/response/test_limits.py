from agent.config.schema import Settings, Upload, Workload
from agent.response.limits import MIB, upload_limits


def test_a_workload_is_limited_by_its_own_table_where_it_has_one() -> None:
    own = Workload(name="embedder", upload=Upload(public_mib_per_hour=0.5))
    settings = Settings(upload=Upload(public_mib_per_hour=8.0), workload=(own,))
    assert upload_limits(settings, "embedder")["public"] == MIB // 2
    assert upload_limits(settings, "other")["public"] == 8 * MIB


def test_loopback_is_never_limited() -> None:
    assert "loopback" not in upload_limits(Settings(), "any")
    assert all(upload_limits(Settings(), "any").values())
