"""Workloads named by the operator: every condition given must hold."""

from pathlib import Path
from typing import Any

import pytest

from collectors.engines import ConfiguredWorkload, Rulebook, RuleError

# The `host` fixture lives in the conftest above, which is no module to import from.
Host = Any

EMBED = ["/v/bin/python", "/v/bin/uvicorn", "app:embed"]


@pytest.fixture(scope="module")
def rules() -> Rulebook:
    return Rulebook.load()


@pytest.mark.parametrize(
    ("match", "holds"),
    [
        ({"cmdline": "uvicorn .*embed"}, 1),
        ({"cmdline": "uvicorn .*embed", "port": 8080}, 1),
        ({"cmdline": "uvicorn .*embed", "port": 8081}, 0),
        ({"port": 8080}, 1),
        ({"exe": "python3*"}, 1),
        ({"exe": "/usr/bin/python3.11"}, 1),
        ({"exe": "/opt/python"}, 0),
        ({"unit": "embed"}, 1),
        ({"unit": "embed.service"}, 1),
        ({"unit": "other"}, 0),
        ({"cgroup": "/system.slice"}, 1),
        ({"cgroup": "/system"}, 0),
        ({"library": r"^libtorch_cpu\.so"}, 1),
        ({"library": "libcuda"}, 0),
        ({"image": "x"}, 0),
        ({}, 0),
    ],
)
def test_all_conditions_given_must_hold(
    match: dict[str, str | int], holds: int, host: Host, rules: Rulebook
) -> None:
    libraries = ["/v/libtorch_cpu.so"]
    place = "0::/system.slice/embed.service\n"
    host.add(100, EMBED, ports=[8080], libraries=libraries, cgroup=place)
    found = rules.recognise(host.table(), [ConfiguredWorkload("embedder", match)])
    assert [w.name for w in found if w.key == "configured:embedder"] == ["embedder"] * holds


def test_replicas_are_one_workload_with_several_roots(host: Host, rules: Rulebook) -> None:
    host.add(100, EMBED)
    host.add(101, EMBED, ppid=100)
    host.add(200, EMBED)
    rule = ConfiguredWorkload("embedder", {"cmdline": "app:embed"})
    (found,) = rules.recognise(host.table(), [rule])
    assert found.roots == (100, 200)
    assert found.pids == {100, 101, 200}


def test_the_shell_whose_arguments_match_too_is_not_the_root(host: Host, rules: Rulebook) -> None:
    host.add(90, ["sh", "-c", "uvicorn app:embed"], exe="/usr/bin/dash")
    host.add(100, EMBED, ppid=90)
    rule = ConfiguredWorkload("embedder", {"cmdline": "uvicorn app:embed"})
    (found,) = rules.recognise(host.table(), [rule])
    assert found.roots == (100,)


def test_a_configured_workload_keeps_its_engine_and_takes_its_tree(
    host: Host, rules: Rulebook
) -> None:
    host.add(100, ["/v/bin/python", "/v/bin/vllm", "serve", "m"], ports=[8000])
    host.add(101, ["VLLM::EngineCore"], ppid=100)
    (found,) = rules.recognise(host.table(), [ConfiguredWorkload("chat", {"port": 8000})])
    assert (found.name, found.engine, found.pids) == ("chat", "vllm", frozenset({100, 101}))


def test_pid_1_and_pids_named_never_are_no_workload(host: Host, rules: Rulebook) -> None:
    host.add(100, EMBED)
    rule = ConfiguredWorkload("all", {"cmdline": "."})
    assert rules.recognise(host.table(), [rule], never=[100]) == []


def test_a_directory_of_the_operator_adds_an_engine(tmp_path: Path, host: Host) -> None:
    (tmp_path / "house.toml").write_text(
        'name = "house"\ntitle = "House"\nports = [7000]\n'
        '[[clue]]\npoints = 60\nwhy = "ours"\nwhen = { exe = ["housed"] }\n'
    )
    host.add(100, ["housed"], exe="/opt/housed")
    (found,) = Rulebook.load(tmp_path).recognise(host.table())
    assert found.name == "house-7000"


def test_every_mistake_in_every_file_is_told_at_once(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'name = "A b"\ntitle = 3\ncolour = "red"\n'
        '[[clue]]\npoints = 500\nwhy = "x"\nwhen = { cmdline = "(" }\n'
        '[[clue]]\npoints = 5\nwhy = "y"\nwhen = {}\n'
    )
    (tmp_path / "b.toml").write_text("name = ")
    with pytest.raises(RuleError) as raised:
        Rulebook.load(tmp_path)
    told = str(raised.value)
    for part in (
        "a.toml: unknown key colour",
        "a.toml: title: should be str",
        "not a regular expression",
        "at least one condition",
        "b.toml: ",
    ):
        assert part in told


def test_what_a_process_says_of_itself_needs_an_executable_beside_it(tmp_path: Path) -> None:
    (tmp_path / "a.toml").write_text(
        'name = "a"\ntitle = "A"\n[[clue]]\npoints = 50\nwhy = "x"\nwhen = { cmdline = "serve" }\n'
    )
    with pytest.raises(RuleError, match="needs an exe beside it"):
        Rulebook.load(tmp_path)


PORTED = ConfiguredWorkload("ported", {"port": 8107})
SERVER = ["/v/bin/python", "-m", "mlserver", "start", "."]


def test_a_server_that_starts_again_is_its_workload_s_before_it_listens(host: Host) -> None:
    rules = Rulebook.load()
    host.add(100, SERVER, ports=[8107])
    (before,) = rules.recognise(host.table(), [PORTED])
    assert (before.name, before.presumed) == ("ported", frozenset())
    host.remove(100)
    host.add(200, SERVER, start=90_000)
    (again,) = rules.recognise(host.table(), [PORTED])
    assert (again.name, again.roots) == ("ported", (200,))
    assert again.presumed == {200}
    assert "does not listen yet" in again.why[0].why


def test_a_server_that_listens_elsewhere_is_not_presumed(host: Host) -> None:
    rules = Rulebook.load()
    host.add(100, SERVER, ports=[8107])
    host.add(200, SERVER, ports=[9000])
    found = rules.recognise(host.table(), [PORTED])
    assert {w.name: w.roots for w in found if w.name == "ported"} == {"ported": (100,)}
    assert all(200 not in w.pids for w in found if w.name == "ported")


def test_what_starts_like_two_workloads_is_neither_until_it_listens(host: Host) -> None:
    rules, other = Rulebook.load(), ConfiguredWorkload("other", {"port": 8108})
    host.add(100, SERVER, ports=[8107])
    host.add(200, SERVER, ports=[8108])
    rules.recognise(host.table(), [PORTED, other])
    host.remove(200)
    host.add(300, SERVER, start=90_000)
    found = {w.name: w.pids for w in rules.recognise(host.table(), [PORTED, other])}
    assert found["ported"] == {100}
    assert 300 not in found.get("other", ())


def test_what_starts_otherwise_is_not_presumed(host: Host) -> None:
    rules = Rulebook.load()
    host.add(100, EMBED, ports=[8107])
    rules.recognise(host.table(), [PORTED])
    host.remove(100)
    host.add(200, [*EMBED, "--reload"], start=90_000)
    assert rules.recognise(host.table(), [PORTED]) == []
