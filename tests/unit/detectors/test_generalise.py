from __future__ import annotations

import pytest

from detectors.generalise import generalise, generalise_peer
from tests.unit.detectors.factory import item

SAME = [
    ("write", "/tmp/tmpab12cd34/x", "/tmp/tmpzz99yy88/x"),
    ("file", "/srv/m/model_v1.onnx", "/srv/m/model_v12.onnx"),
    ("write", "/var/log/x-2026-01-02.log", "/var/log/x-2026-11-22.log"),
    ("file", "/data/4f1c1b9e8a7d6c5b/a", "/data/00aa11bb22cc33dd/a"),
    ("write", "/dev/shm/psm_8fa3c2d1", "/dev/shm/psm_00112233"),
    ("file", "/proc/12/stat", "/proc/13/stat"),
    ("write", "/tmp/wserver-xvzugubx", "/tmp/wserver-p1_nnbx1"),
    ("write", "/dev/shm/sem.oIkYxb", "/dev/shm/sem.Zq9Yxb"),
    ("peer", "accept tcp 127.0.0.1", "accept tcp 127.0.0.9"),
    ("peer", "tcp [::ffff:10.0.0.1]:80", "tcp 10.0.0.1:80"),
    ("listen", "udp 0.0.0.0:40001", "udp 0.0.0.0:50002"),
    ("file", "/v/site-packages/torch/a.py", "/v/site-packages/torch/nn/b.py"),
    (
        "exec",
        "/run/8c5f6ad0-1111-2222-3333-444455556666/bin/x",
        "/run/9d5f6ad0-1111-2222-3333-444455556666/bin/x",
    ),
]
DIFFERENT = [
    ("exec", "/usr/bin/python3.9", "/usr/bin/python3.11"),
    ("file", "/srv/m/a.onnx", "/srv/m/b.onnx"),
    ("write", "/srv/m/state-xvzugubx", "/srv/m/state-ztnxurow"),
    ("write", "/tmp/x/state-xvzugubx", "/tmp/x/state-ztnxurow"),
    ("peer", "tcp 10.0.0.1:80", "tcp 10.0.0.2:80"),
    ("peer", "tcp 127.0.0.1:40001", "tcp 127.0.0.1:40002"),
    ("peer", "tcp 10.0.0.1:80", "udp 10.0.0.1:80"),
    ("peer", "accept tcp 10.0.0.1", "accept tcp 8.8.8.8"),
    ("listen", "tcp 0.0.0.0:8000", "tcp 127.0.0.1:8000"),
    ("write", "/v/site-packages/torch/a.py", "/v/site-packages/torch/b.py"),
]


@pytest.mark.parametrize(("kind", "one", "other"), SAME)
def test_names_that_change_from_run_to_run_are_one(kind: str, one: str, other: str) -> None:
    assert generalise(item(kind, one), sensitive=False) == generalise(
        item(kind, other), sensitive=False
    )


@pytest.mark.parametrize(("kind", "one", "other"), DIFFERENT)
def test_different_things_stay_different(kind: str, one: str, other: str) -> None:
    assert generalise(item(kind, one), sensitive=False) != generalise(
        item(kind, other), sensitive=False
    )


def test_sensitive_names_are_kept_as_they_are() -> None:
    assert generalise(item("file", "/k/id_rsa_1"), sensitive=True) == "/k/id_rsa_1"


def test_own_process_differs_from_another() -> None:
    own = generalise(item("file", "/proc/77/environ"), sensitive=True)
    other = generalise(item("file", "/proc/78/environ"), sensitive=True)
    assert own == "/proc/self/environ"
    assert other == "/proc/<pid>/environ"


def test_unix_peer_without_path_is_kept() -> None:
    assert generalise_peer("unix ") == "unix "
