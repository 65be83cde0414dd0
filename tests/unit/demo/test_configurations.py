from pathlib import Path
from string import Template

import pytest

from agent.config import load
from tests.bench.quiet import RULE, WORKLOADS
from tests.bench.rig import HERE as BENCH
from tests.demo.commands import Commands
from tests.demo.learning import HERE as DEMO
from tests.demo.learning import WORKLOAD

VALUES = {
    "STATE": "/tmp/state",
    "RUN": "/tmp/run",
    "PINS": "/sys/fs/bpf/elsewhere",
    "PORT": 8111,
    "CENTRAL": "tcp://127.0.0.1:5599",
    "CENTRAL_KEY": "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7",
}


def filled(template: Path, tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(Template(template.read_text()).substitute(VALUES))
    return path


def test_the_product_takes_the_configuration_of_quiet_servers(tmp_path: Path) -> None:
    path = tmp_path / "agent.toml"
    text = (BENCH / "quiet.toml.in").read_text()
    rules = "".join(RULE.format(f"quiet-{n}", 8111 + n) for n in range(WORKLOADS))
    path.write_text(Template(text).substitute(VALUES, WORKLOADS=rules))
    assert len(load(path).workload) == WORKLOADS


@pytest.mark.parametrize("template", [DEMO / "demo.toml.in", BENCH / "bench.toml.in"])
def test_the_product_takes_the_configuration_and_would_freeze_the_server(
    template: Path, tmp_path: Path
) -> None:
    settings = load(filled(template, tmp_path))
    workload = settings.workload[-1]  # the benchmark asks other servers, too
    assert workload.name == WORKLOAD
    assert workload.respond == "freeze"
    assert str(settings.paths.pins) == VALUES["PINS"]


def test_central_takes_its_configuration(tmp_path: Path) -> None:
    assert load(filled(DEMO / "central.toml.in", tmp_path)).central.bind == VALUES["CENTRAL"]


def test_words_after_two_dashes_stay_behind_the_options(tmp_path: Path) -> None:
    line = Commands(tmp_path / "a.toml").line("keys", "allow", "--", "host", "-key")
    assert line[-3:] == ["--", "host", "-key"]
    assert "--config" in line[:-3]
