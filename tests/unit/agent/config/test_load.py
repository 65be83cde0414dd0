"""What the configuration accepts, refuses and remembers."""

import dataclasses
from pathlib import Path

import pytest

from agent.config import Learning, Match, Origin, Settings, SettingsError, load
from agent.config.schema import Upload

FULL = """\
[agent]
respond = "contain"

[paths]
state = "/srv/state"
run = "/srv/run"
pins = "/sys/fs/bpf/other"

[window]
length_s = 0.5

[learning]
min_windows = 20
quiet_s = 5
shadow_s = 3.5

[budget]
false_alarms_per_month = 2.0
cpu_percent = 3
rss_mib = 200

[[workload]]
name = "embedder"
match = { cmdline = "uvicorn .*embed", port = 8080 }
respond = "freeze"

[ship]
endpoints = ["tcp://127.0.0.1:5599", "tcp://[::1]:5600"]
central_key = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"
"""


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def mistakes(path: Path) -> list[tuple[str, int]]:
    with pytest.raises(SettingsError) as raised:
        load(path)
    return [(problem.key, problem.origin.line) for problem in raised.value.problems]


def test_every_promised_key_is_read(tmp_path: Path) -> None:
    settings = load(write(tmp_path / "agent.toml", FULL))
    assert settings.agent.respond == "contain"
    assert settings.paths.state == Path("/srv/state")
    assert settings.window.length_s == 0.5
    assert settings.learning == Learning(min_windows=20, quiet_s=5.0, shadow_s=3.5)
    assert (settings.budget.cpu_percent, settings.budget.rss_mib) == (3.0, 200)
    assert settings.workload[0].match == Match(cmdline="uvicorn .*embed", port=8080)
    assert settings.workload[0].respond == "freeze"
    assert settings.ship.endpoints == ("tcp://127.0.0.1:5599", "tcp://[::1]:5600")


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(write(tmp_path / "agent.toml", "")) == Settings()


def test_a_named_file_that_is_missing_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="cannot be read: No such file"):
        load(tmp_path / "none.toml")


def test_every_mistake_is_reported_at_once_with_its_line(tmp_path: Path) -> None:
    text = """\
[agent]
respond = "frieze"

[window]
length_s = "1"
[[workload]]
name = "a"
match = { cmdline = "(", port = 99999 }
[[workload]]
name = "a"
[workload.match]
exe = "/bin/x"
speed = 1
[lerning]
quiet_s = 1
"""
    assert mistakes(write(tmp_path / "agent.toml", text)) == [
        ("agent.respond", 2),
        ("window.length_s", 5),
        ("workload.0.match.cmdline", 8),
        ("workload.0.match.port", 8),
        ("workload.1.match.speed", 13),
        ("lerning", 14),
        ("workload.1.name", 9),
    ]


def test_a_mistake_names_file_line_key_and_value(tmp_path: Path) -> None:
    path = write(tmp_path / "agent.toml", '[agent]\nrespond = "frieze"\n')
    with pytest.raises(SettingsError, match="respond") as raised:
        load(path)
    assert f'{path}:2: agent.respond = "frieze" must be one of' in str(raised.value)


def test_an_unknown_key_is_refused_with_the_nearest_known_one(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="did you mean length_s"):
        load(write(tmp_path / "agent.toml", "[window]\nlenght_s = 1\n"))


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("[learning]\nmin_windows = 0\n", "learning.min_windows"),
        ("[learning]\nmin_windows = 1.5\n", "learning.min_windows"),
        ("[learning]\nquiet_s = -1\n", "learning.quiet_s"),
        ("[budget]\ncpu_percent = true\n", "budget.cpu_percent"),
        ("[budget]\ncpu_percent = nan\n", "budget.cpu_percent"),
        ('[paths]\nrun = "run"\n', "paths.run"),
        ('[ship]\nendpoints = ["udp://x:1"]\n', "ship.endpoints"),
        ('[ship]\nendpoints = ["tcp://x:0"]\n', "ship.endpoints"),
        ('[ship]\nendpoints = "tcp://x:1"\n', "ship.endpoints"),
        ('[ship]\ncentral_key = "short"\n', "ship.central_key"),
        ('[ship]\nendpoints = ["tcp://x:1"]\n', "ship.endpoints"),
        ('[[workload]]\nname = "a b"\nmatch = { port = 1 }\n', "workload.0.name"),
        ("[[workload]]\nmatch = { port = 1 }\n", "workload.0.name"),
        ('[[workload]]\nname = "a"\n', "workload.0.match"),
        ('[workload]\nname = "a"\n', "workload"),
        ("window = 3\n", "window"),
    ],
)
def test_a_value_out_of_bounds_is_refused_by_its_key(tmp_path: Path, text: str, key: str) -> None:
    assert [name for name, _ in mistakes(write(tmp_path / "agent.toml", text))] == [key]


def test_broken_toml_names_the_line(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path / "agent.toml", "[window]\nlength_s = = 1\n")) == [("", 2)]


def test_toml_that_ends_too_early_names_the_last_line(tmp_path: Path) -> None:
    assert mistakes(write(tmp_path / "agent.toml", '[window]\nlength_s = "\n')) == [("", 2)]


def test_bytes_that_are_no_text_are_a_mistake(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    path.write_bytes(b"\xff\xfe")
    assert mistakes(path) == [("", 1)]


def test_drop_ins_win_by_name_and_add_workloads(tmp_path: Path) -> None:
    main = write(
        tmp_path / "agent.toml",
        '[window]\nlength_s = 2\n[[workload]]\nname = "a"\nmatch = { port = 1 }\n',
    )
    write(
        tmp_path / "agent.d/10.toml",
        '[window]\nlength_s = 3\n[[workload]]\nname = "b"\nmatch = { port = 2 }\n',
    )
    write(tmp_path / "agent.d/20.toml", "[window]\nlength_s = 4\n")
    settings = load(main)
    assert settings.window.length_s == 4.0
    assert [workload.name for workload in settings.workload] == ["a", "b"]


def test_a_mistake_in_a_drop_in_names_the_drop_in(tmp_path: Path) -> None:
    main = write(tmp_path / "agent.toml", "[window]\nlength_s = -1\n")
    drop_in = write(tmp_path / "agent.d/10.toml", "\n[window]\nlength_s = -1\n")
    with pytest.raises(SettingsError, match="2 mistakes") as raised:
        load(main)
    assert [problem.origin for problem in raised.value.problems] == [
        Origin(main, 2),
        Origin(drop_in, 3),
    ]


def test_each_value_remembers_where_it_came_from(tmp_path: Path) -> None:
    path = write(tmp_path / "agent.toml", FULL)
    origins = load(path).origins
    assert origins["window.length_s"] == Origin(path, 10)
    assert origins["workload.0.match.port"] == Origin(path, 24)
    assert "budget" not in origins
    assert "window" not in origins


def test_a_workload_overrides_only_the_learning_keys_it_names(tmp_path: Path) -> None:
    text = (
        "[learning]\nquiet_s = 7\n"
        '[[workload]]\nname = "a"\nmatch = { port = 1 }\nlearning = { min_windows = 9 }\n'
    )
    settings = load(write(tmp_path / "agent.toml", text))
    assert settings.workload[0].learning == Learning(min_windows=9, quiet_s=7.0)


def test_settings_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        Settings().window.length_s = 2.0  # type: ignore[misc]


def test_central_keeps_its_store_in_the_state_directory_unless_told() -> None:
    assert Settings().central_store == Path("/var/lib/inferward/central")


def test_a_workload_has_its_own_budgets_and_its_own_dry_run(tmp_path: Path) -> None:
    text = """
[response]
dry_run = true
[upload]
private_mib_per_hour = 5.0
[[workload]]
name = "embedder"
match = { port = 8080 }
respond = "limit"
dry_run = false
upload = { public_mib_per_hour = 0.5 }
"""
    settings = load(write(tmp_path / "agent.toml", text))
    (own,) = settings.workload
    assert (settings.response.dry_run, own.dry_run, own.respond) == (True, False, "limit")
    assert own.upload == Upload(public_mib_per_hour=0.5, private_mib_per_hour=5.0)


def test_a_workload_has_the_reflexes_that_it_names_and_no_others_exist(tmp_path: Path) -> None:
    text = '[[workload]]\nname = "w"\nmatch = { port = 80 }\nreflex = ["exec", "connect"]\n'
    path = tmp_path / "agent.toml"
    path.write_text(text)
    assert load(path).workload[0].reflex == ("exec", "connect")
    path.write_text(text.replace("connect", "kill"))
    with pytest.raises(SettingsError, match="exec, connect, secret"):
        load(path)
