"""Names that pass for others', and the many that do not."""

import pytest

from detectors.names import disguise

PYTHON = "/srv/venv/bin/python3.11"

KERNEL = [
    "kworker/0:0",
    "kworker/u8:2-event",
    "[kthreadd]",
    "kthreadd",
    "ksoftirqd/0",
    "migration/3",
    "rcu_sched",
    "rcu_preempt",
    "scsi_eh_0",
    "[kworker/0:0]",
    "[kworker/0:0",
    "jbd2/sda1-8",
]
SERVERS = [
    "VLLM::EngineCor",
    "VLLM::Worker_TP0",
    "ray::ServeRepli",
    "sglang::schedul",
    "gunicorn: work",
    "pool-1-thread-7",
    "uvicorn",
    "python3",
    "[celeryd: worke",
    "jemalloc_bg_thd",
    "cuda-EvtHandlr",
    "grpc_global_tim",
    "tokio-runtime-w",
    "GC Thread#0",
    "rcu_reader",
    "[",
    "",
]


@pytest.mark.parametrize("name", KERNEL)
def test_a_name_of_the_kernels_threads_is_a_disguise(name: str) -> None:
    assert disguise(name, PYTHON) == {"kernel-name"}


@pytest.mark.parametrize("name", ["sshd", "systemd", "cron", "systemd-journal"])
def test_a_services_name_is_a_disguise_of_another_program(name: str) -> None:
    assert disguise(name, PYTHON) == {"daemon-name"}


@pytest.mark.parametrize("exe", ["/usr/sbin/sshd", "/usr/sbin/sshd (deleted)", ""])
def test_a_service_may_bear_its_own_name(exe: str) -> None:
    assert not disguise("sshd", exe)


def test_a_services_name_may_be_cut_short() -> None:
    assert not disguise("systemd-journal", "/lib/systemd/systemd-journald")


@pytest.mark.parametrize("name", SERVERS)
def test_what_servers_call_their_threads_is_no_disguise(name: str) -> None:
    assert not disguise(name, PYTHON)
