"""A changed name or attribute weighs what a write there would, or more where it does more harm."""

from dataclasses import replace

import pytest

from detectors import explain, novelty
from detectors.assessment import Level, NovelItem
from detectors.repertoire import Repertoire
from detectors.window import Item, ItemKind, Phase
from tests.unit.detectors.factory import MODEL, USUAL, item

LOG = "/var/log/srv/a.log"


def known(*more: Item) -> Repertoire:
    repertoire = Repertoire()
    for one in (*USUAL, *more):
        repertoire.add(one)
    return repertoire


def change(text: str, *marks: str, other: str = "", host_path: str = "", pid: int = 77) -> Item:
    return Item(
        ItemKind.WRITE, text, "main", 0, pid, "/srv/server", frozenset(marks), 1, other, host_path
    )


def level(one: Item, repertoire: Repertoire | None = None, phase: Phase = Phase.STEADY) -> Level:
    new = novelty.assess(one, known() if repertoire is None else repertoire, phase)
    return Level.INFO if new is None else new.level


PERSISTENT = (
    "/etc/cron.d/y",
    "/root/.ssh/authorized_keys",
    "/home/x/.bashrc",
    "/etc/systemd/system/x.service",
    "/etc/ld.so.preload",
    "/usr/lib/python3/dist-packages/x.pth",
    "/etc/shadow",
    "/root/.aws/credentials",
)


@pytest.mark.parametrize("path", PERSISTENT)
@pytest.mark.parametrize("mark", ["renamed-to", "linked-to", "symlinked", "mode", "removed"])
def test_a_change_of_a_sensitive_file_weighs_what_its_write_does(path: str, mark: str) -> None:
    assert level(change(path, mark)) >= level(item("write", path)) >= Level.CRITICAL


@pytest.mark.parametrize("mark", ["removed", "renamed-from", "truncated-to", "emptied"])
def test_a_model_file_that_goes_from_where_it_was_only_read_is_grave(mark: str) -> None:
    assert level(change(MODEL, mark)) == Level.HIGH


def test_a_model_that_it_serves_from_a_temporary_place_is_missed_too() -> None:
    path = "/tmp/cache/model.onnx"
    assert level(change(path, "removed"), known(item("file", path))) == Level.HIGH
    assert level(change(path, "removed")) == Level.INFO


@pytest.mark.parametrize("path", ["/tmp/m/model.pkl", "/srv/else/model.onnx", MODEL])
def test_a_write_to_a_model_file_that_it_did_not_make_is_grave_wherever_that_lies(
    path: str,
) -> None:
    assert level(item("write", path)) == Level.HIGH
    for mark in ("create", "made"):
        mine = replace(item("write", path), marks=frozenset({mark}))
        assert path == MODEL or level(mine) <= Level.MEDIUM


def test_a_model_that_it_read_is_not_replaced_quietly() -> None:
    path = "/tmp/cache/model.onnx"
    assert level(change(path, "renamed-to"), known(item("file", path))) == Level.HIGH
    assert level(change(path, "renamed-to")) == Level.LOW


@pytest.mark.parametrize(
    "path",
    [
        "/srv/models/digits/v1/other.onnx",
        "/srv/models/digits/v1/config.json",
        "/srv/models/digits/v1/tokenizer.json",
    ],
)
def test_another_file_in_a_model_s_place_weighs_what_a_write_there_does(path: str) -> None:
    new = replace(item("write", path), marks=frozenset({"create"}))
    assert level(change(path, "renamed-to")) == level(new) == Level.MEDIUM


def test_a_file_made_executable_is_grave_even_where_it_writes() -> None:
    assert level(change("/tmp/x", "mode", "executable")) == Level.HIGH
    assert level(change("/var/log/srv/x", "mode", "executable")) == Level.HIGH


@pytest.mark.parametrize("mark", ["set-id", "file-capabilities", "device", "mounted", "unmounted"])
def test_what_gives_rights_or_covers_files_is_critical(mark: str) -> None:
    assert level(change("/srv/x", "mode", mark)) == Level.CRITICAL


@pytest.mark.parametrize("mark", ["immutable", "security-attribute"])
def test_what_shields_a_file_is_grave(mark: str) -> None:
    assert level(change("/srv/x", "flags", mark)) == Level.HIGH


@pytest.mark.parametrize("path", ["/var/log/auth.log", "/srv/other/logs/access", "/opt/x.log.1"])
@pytest.mark.parametrize("mark", ["removed", "truncated-to"])
def test_a_log_that_is_another_s_is_not_removed_quietly(path: str, mark: str) -> None:
    assert level(change(path, mark)) == Level.HIGH


def test_its_own_log_is_not_removed_quietly() -> None:
    assert level(change(LOG, "removed")) == Level.MEDIUM


def test_a_link_to_a_place_that_matters_is_judged_by_where_it_leads() -> None:
    assert level(change("/tmp/x", "symlinked", other="/etc/cron.d")) == Level.CRITICAL
    assert level(change("/tmp/x", "symlinked", other="/usr/bin/python3")) <= Level.LOW


LOOKALIKES = {
    "log rotation": (change(LOG, "renamed-from"), change(LOG + ".1", "renamed-to")),
    "oldest log": (change(LOG + ".5", "removed"),),
    "byte code": (
        change("/srv/app/__pycache__/x.cpython-311.pyc.140231", "renamed-from"),
        change("/srv/app/__pycache__/x.cpython-311.pyc", "renamed-to"),
    ),
    "temporary file": (change("/tmp/tmpx81k2m9q", "removed"), change("/tmp/a/b", "removed")),
    "temporary directory": (
        change("/tmp/tmpx81k2m9q", "made-directory"),
        change("/tmp/tmpx81k2m9q", "removed-directory"),
    ),
    "socket": (change("/run/srv/api.sock", "removed"), change("/run/srv/api.sock", "mode")),
    "shared memory": (change("/dev/shm/psm_a1b2c3", "removed"),),
    "memory file": (change("/memfd:x", "truncated-to"),),
    "own directory": (change("/var/log/srv/b", "made-directory"),),
    "times": (change("/srv/models/digits/v1/model.onnx", "times"),),
}


@pytest.mark.parametrize("name", LOOKALIKES)
def test_what_servers_do_every_day_stays_low(name: str) -> None:
    assert max(level(one) for one in LOOKALIKES[name]) <= Level.LOW


CACHE = "/srv/.cache/huggingface/hub/models--a--b"


def test_a_snapshot_flip_in_a_learned_cache_is_quiet() -> None:
    repertoire = known(
        item("write", f"{CACHE}/blobs/aaaa.incomplete"), item("write", f"{CACHE}/refs/main"),
        change(f"{CACHE}/snapshots/abc/config.json", "symlinked", other="../../blobs/aaaa"),
    )  # fmt: skip
    flip = change(f"{CACHE}/snapshots/abc/model.safetensors", "symlinked", other="../../blobs/b")
    assert level(flip, repertoire) <= Level.LOW
    assert level(change(f"{CACHE}/blobs/b.incomplete", "renamed-from"), repertoire) <= Level.LOW
    assert level(change(f"{CACHE}/blobs/b", "renamed-to"), repertoire) <= Level.LOW


def test_a_journal_of_a_database_it_writes_is_quiet() -> None:
    repertoire = known(item("write", "/srv/state/jobs.db"))
    for mark in ("removed", "truncated-to"):
        assert level(change("/srv/state/jobs.db-journal", mark), repertoire) <= Level.LOW


def test_what_was_learned_is_quiet_and_only_that() -> None:
    learned = change("/srv/jit/aa/k1.so", "mode", "executable")
    repertoire = known(learned)
    assert novelty.assess(learned, repertoire) is None
    assert level(change("/srv/jit/aa/other.so", "mode", "executable"), repertoire) == Level.INFO
    assert level(change("/srv/jit/bb/k9.so", "mode", "executable"), repertoire) == Level.LOW
    assert level(change("/srv/web/x", "mode", "executable"), repertoire) == Level.HIGH


def test_many_writes_in_a_folder_excuse_no_other_change_there() -> None:
    repertoire = known(*(item("write", f"/srv/out/{chr(97 + n % 26)}{chr(97 + n // 26)}")
                         for n in range(60)))  # fmt: skip
    assert novelty.assess(item("write", "/srv/out/zz"), repertoire) is None
    assert level(change("/srv/out/zz", "mode", "executable"), repertoire) == Level.HIGH


def test_a_start_changes_files_more_freely() -> None:
    assert level(change("/srv/x/y", "removed"), phase=Phase.STARTUP) <= Level.LOW


def test_the_host_s_name_of_a_file_counts_too() -> None:
    inside = change("/data/id_x", "renamed-to", host_path="/root/.ssh/authorized_keys")
    assert level(inside) == Level.CRITICAL


@pytest.mark.parametrize(
    "host_path",
    ["/var/lib/docker/overlay2/abc/merged/etc/cron.d/y", "/var/lib/kubelet/pods/1/volumes/cache/x"],
)
def test_where_a_runtime_keeps_a_container_is_no_place_of_the_host(host_path: str) -> None:
    assert level(change("/cache/x", "renamed-to", host_path=host_path)) <= Level.MEDIUM


@pytest.mark.parametrize(
    ("one", "words"),
    [
        (change("/a", "renamed-from", other="/b"), "renamed /a to /b"),
        (change("/b", "renamed-to", other="/a"), "renamed /a to /b"),
        (change("/b", "mode", "executable", other="0755"), "made /b executable (mode 0755)"),
        (change("/b", "removed"), "removed /b"),
        (change("/b", "symlinked", other="c"), "made /b a link to c"),
        (change("/b", "truncated-to", other="0"), "cut /b to 0 bytes"),
        (change("/b", "emptied"), "emptied a part of /b"),
    ],
)
def test_a_change_is_told_in_plain_words(one: Item, words: str) -> None:
    new = novelty.assess(one, known())
    assert isinstance(new, NovelItem)
    assert explain.changed(new) == words
