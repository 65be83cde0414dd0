"""What the doctor concludes from what a host says; no root, no kernel is needed here."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.config import Settings
from agent.config.schema import Paths, Ship
from agent.doctor import Examination, Finding, State, demand, host, kernel, programs
from agent.errors import KernelError, PrivilegeError
from probes.errors import ProbeError

MOUNTINFO = """\
24 30 0:22 / /sys rw,nosuid - sysfs sysfs rw
31 24 0:27 / /sys/fs/bpf rw - bpf bpf rw
32 24 0:28 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw
"""


@dataclass(frozen=True)
class Tried:
    hook: str
    works: bool = True
    program: str = "on_something"
    words: str = "loads"


HOOKS = (
    "tp_btf/sys_exit",
    "tp_btf/sched_process_exec",
    "iter/task",
    "cgroup/connect4",
    "cgroup/sock_create",
    "cgroup_skb/egress",
)


def states(findings: list[Finding]) -> dict[str, State]:
    return {finding.name: finding.state for finding in findings}


@pytest.mark.parametrize(
    ("release", "state"),
    [
        ("6.1.0-18-amd64", State.OK),
        ("5.12.0", State.OK),
        ("5.11.22", State.MISSING),
        ("4.19.0", State.MISSING),
        ("unknown", State.MISSING),
    ],
)
def test_a_kernel_too_old_is_named_with_the_oldest_that_does(release: str, state: State) -> None:
    finding = kernel.version(release, "x86_64")
    assert finding.state is state
    assert ("5.12" in finding.fix) == (state is State.MISSING)


def test_a_kernel_without_types_cannot_run_the_agent(tmp_path: Path) -> None:
    finding = kernel.btf(tmp_path / "vmlinux")
    assert finding.state is State.MISSING
    assert "CONFIG_DEBUG_INFO_BTF" in finding.fix


def test_each_mount_is_found_where_it_is() -> None:
    bpffs, cgroup, tracefs = kernel.mounts(MOUNTINFO)
    assert bpffs.words == "mounted at /sys/fs/bpf"
    assert cgroup.words == "mounted at /sys/fs/cgroup/unified"
    assert (tracefs.state, tracefs.fix[:5]) == (State.LIMITED, "mount")


def test_without_bpffs_nothing_outlives_the_daemon_so_it_does_not_run() -> None:
    assert states(kernel.mounts(""))["bpffs"] is State.MISSING


@pytest.mark.parametrize(
    ("effective", "lacking"),
    [
        ("000001ffffffffff", ""),
        ("000000c000081024", ""),
        ("0000000000281024", ""),
        ("0000000000000000", "CAP_BPF"),
        ("0000000000200000", "CAP_KILL"),
    ],
)
def test_lacking_privileges_are_named(effective: str, lacking: str) -> None:
    finding = kernel.capabilities(f"Name:\tx\nCapEff:\t{effective}\n")
    assert lacking in finding.words
    assert (finding.state is State.OK) == (not lacking)


def test_every_need_is_proved_by_a_program_that_loads() -> None:
    found = programs.findings([Tried(hook) for hook in HOOKS])
    assert set(states(found).values()) == {State.OK}
    assert len(found) == len(programs.NEEDS)


def test_a_refused_tracepoint_means_the_agent_cannot_run() -> None:
    tried = [Tried(hook) for hook in HOOKS[1:]]
    tried.append(Tried("tp_btf/sys_exit", works=False, program="on_sys_exit", words="EPERM"))
    found = programs.findings(tried)
    assert states(found)["raw tracepoints"] is State.MISSING
    assert "1 of 2 programs refused; on_sys_exit: EPERM" in found[0].words


def test_refused_cgroup_programs_only_limit() -> None:
    tried = [Tried(hook, works=not hook.startswith("cgroup/")) for hook in HOOKS]
    assert Examination.of(programs.findings(tried)).exit_code == 1


def test_the_tier_is_what_loads_and_not_what_the_kernel_lists() -> None:
    lsm = "lockdown,capability,bpf"
    assert programs.tier([Tried("lsm/file_open")], lsm).words.startswith("guard")
    refused = programs.tier([Tried("lsm/file_open", works=False, words="EPERM")], lsm)
    assert (refused.state, refused.words[:5]) == (State.LIMITED, "trace")
    assert "who acts against it is stopped after the act" in refused.words
    unlisted = programs.tier([Tried("lsm/file_open")], "lockdown,capability\n")
    assert unlisted.fix == "boot with lsm=lockdown,capability,bpf"


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([State.OK], 0),
        ([State.OK, State.LIMITED], 1),
        ([State.LIMITED, State.MISSING], 2),
    ],
)
def test_the_worst_finding_decides_the_exit_code(found: list[State], code: int) -> None:
    examination = Examination.of(Finding("x", state, "w", "f") for state in found)
    assert examination.exit_code == code
    assert examination.as_json()["exit"] == code


def test_missing_privileges_are_said_alone() -> None:
    findings = (
        Finding("BTF", State.MISSING, "is not there", "boot another"),
        kernel.capabilities("CapEff:\t0000000000000000\n"),
    )
    with pytest.raises(PrivilegeError, match="run it as root"):
        demand(Examination(findings))


def test_a_kernel_that_cannot_is_refused_in_the_doctors_words(tmp_path: Path) -> None:
    with pytest.raises(KernelError, match=r"BTF: .*vmlinux is not there \(boot a kernel") as raised:
        demand(Examination.of([kernel.btf(tmp_path / "vmlinux")]))
    assert raised.value.exit_code == 2


def test_limits_do_not_keep_the_agent_from_running() -> None:
    demand(Examination((Finding("tracefs", State.LIMITED, "not mounted", "mount it"),)))


def test_only_what_is_not_well_gets_a_fix_in_the_text() -> None:
    findings = (Finding("a", State.OK, "fine"), Finding("b", State.LIMITED, "weak", "do this"))
    text = Examination(findings).text()
    assert "To do:\n  b: do this" in text
    assert text.endswith("The agent can run here, with limits.")


def test_a_disk_too_small_for_the_stores_is_told(tmp_path: Path) -> None:
    settings = Settings(paths=Paths(state=tmp_path / "not/yet"))
    assert host.disk(settings).words.endswith("of which the agent uses up to 454")


def test_a_central_that_does_not_listen_is_told() -> None:
    settings = Settings(ship=Ship(endpoints=("tcp://127.0.0.1:1",)))
    assert states(host.central(settings)) == {"central": State.LIMITED}


def test_no_gpu_is_a_normal_state() -> None:
    finding = host.gpu([])
    assert finding.state is State.OK


def test_without_an_agent_the_doctors_own_probes_are_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = {"name": "live: exec", "state": "missing", "words": "not seen", "fix": "look"}
    monkeypatch.setattr("agent.daemon.selftest.alone", lambda _: [told])
    first, second = host.running(Settings(paths=Paths(run=tmp_path)))
    assert (first.name, first.state) == ("live", State.OK)
    assert (second.name, second.state) == ("live: exec", State.MISSING)


def test_probes_that_the_kernel_refuses_the_doctor_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_: Path) -> None:
        raise ProbeError("load the probes into the kernel", "EPERM")

    monkeypatch.setattr("agent.daemon.selftest.alone", refuse)
    (finding,) = host.running(Settings(paths=Paths(run=tmp_path)))
    assert finding.state is State.MISSING
    assert "EPERM" in finding.words


def test_without_an_agent_operator_probes_are_named_as_they_are_written(tmp_path: Path) -> None:
    (tmp_path / "half.toml").write_text('description = "d"\n[fields]\nitem = ["x"]\n')
    settings = Settings(paths=Paths(probes=tmp_path, run=tmp_path / "run"))
    (half,) = host.operator_probes(settings)
    assert (half.name, half.state) == ("operator probe half", State.LIMITED)
    assert "half" in half.words
    assert half.fix


@pytest.mark.parametrize(
    ("state", "failing", "expected"),
    [("on", False, State.OK), ("waiting", False, State.OK), ("off", False, State.OK),
     ("off", True, State.LIMITED), ("restarting", True, State.LIMITED)],
)  # fmt: skip
def test_an_operator_probe_is_as_the_running_agent_has_it(
    *, state: str, failing: bool, expected: State
) -> None:
    probe = {"name": "tls", "state": state, "failing": failing, "reason": "it floods",
             "events": 3, "lost": 0}  # fmt: skip
    finding = host.as_running(probe)
    assert (finding.name, finding.state) == ("operator probe tls", expected)
    assert "it floods" in finding.words
