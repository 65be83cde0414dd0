"""A made-up server to learn: the same loop of calls, files and readings, with seeded jitter."""

from __future__ import annotations

import numpy as np

from detectors import words
from detectors.baseline import Baseline
from detectors.judge import Judge
from detectors.settings import JudgeSettings
from detectors.window import Grams, Item, ItemKind, Phase, Window
from probes import syscalls

EXE = "/srv/venv/bin/python3.11"
MODEL = "/srv/models/digits/v1/model.onnx"
SETTINGS = JudgeSettings(min_windows=40, quiet_s=10.0, shadow_s=10.0)
LOOPS = (
    "epoll_wait accept4 recvfrom futex futex sendto close",
    "epoll_wait recvfrom read lseek futex write sendto",
    "epoll_wait recvfrom futex sendto epoll_ctl",
)
ATTACK = "openat read close pipe2 clone dup2 dup2 execve brk mmap openat mmap socket connect"


def item(  # noqa: PLR0913 - an item's own fields
    kind: str,
    text: str,
    *,
    at_s: float = 0.0,
    role: str = "main",
    pid: int = 77,
    marks: tuple[str, ...] = (),
) -> Item:
    return Item(ItemKind(kind), text, role, round(at_s * 1e9), pid, EXE, frozenset(marks))


def calls(seed: int, loops: int = 60, extra: str = "") -> Grams:
    rng = np.random.default_rng(seed)
    text: list[str] = []
    for at in range(loops):
        text += LOOPS[rng.integers(len(LOOPS))].split()
        if extra and at == loops // 2:
            text += extra.split()
    numbers = [syscalls.number(name) for name in text]
    return Grams("main", *words.count(words.from_numbers(numbers)))


def window(
    at: int,
    *items: Item,
    phase: Phase = Phase.STEADY,
    load: float = 1.0,
    lost: int = 0,
    extra: str = "",
    **readings: float,
) -> Window:
    rng = np.random.default_rng(at)
    noise = rng.normal(1.0, 0.05, 6)
    usual = {
        "syscalls": 1000.0 * load * noise[0],
        "opens": 20.0 * load * noise[1],
        "read_bytes": 1e5 * load * noise[2],
        "bytes_out": 2e5 * load * noise[3],
        "bytes_out_initiated": 0.0,
        "execs": 0.0,
        "connects": 0.0,
        "crashes": 0.0,
        "rss_bytes": 2e8,
        "cpu_percent": 20.0 * load * noise[4],
        "threads": 12.0,
        "accepts": 50 * load * noise[5],
    }
    return Window(
        "embedder",
        round(at * 1e9),
        1.0,
        phase,
        lost,
        usual | readings,
        (calls(at, extra=extra),),
        items,
    )


USUAL = (
    item("exec", EXE),
    item("file", MODEL),
    item("peer", "accept tcp 127.0.0.1"),
    item("file", "/srv/venv/lib/python3.11/site-packages/fastapi/app.py"),
    item("library", "/srv/venv/lib/python3.11/site-packages/numpy/core/x.so"),
    item("write", "/tmp/tmpabcd1234/x"),
    item("write", "/var/log/srv/a.log"),
    item("listen", "tcp 127.0.0.1:8000"),
    item("peer", "udp 127.0.0.53:53"),
)


def guarding_judge(*items: Item, shadow_windows: int = 12) -> Judge:
    judge = Judge(SETTINGS, Baseline("embedder"))
    judge.observe(window(0, *USUAL, *items))
    for at in range(1, 42 + shadow_windows):
        judge.observe(window(at))
    return judge
