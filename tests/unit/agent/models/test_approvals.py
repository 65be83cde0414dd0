"""Approved directories are compared with what lies there by looks; content is asked for once."""

import os
from pathlib import Path

import pytest

from agent.models.approvals import Approval, Approvals, UnreadError
from agent.models.inventory import inventory
from agent.models.manifest import approve, default_path
from agent.models.signing import Signer, public_path
from collectors.models.digests import DigestCache, FileState, read_digest


@pytest.fixture
def approvals(tmp_path: Path, model: Path) -> Approvals:
    state, key = tmp_path / "state", tmp_path / "models.key"
    entries = inventory(model, DigestCache())
    approve(model, entries, Signer.load_or_make(key), default_path(state, model))
    made = Approvals(state, [public_path(key)])
    assert made.refresh() == []
    return made


@pytest.fixture
def approval(approvals: Approvals, model: Path) -> Approval:
    found = approvals.find(str(model / "weights.safetensors"))
    assert found is not None
    assert found[1] == "weights.safetensors"
    return found[0]


def wrong(approval: Approval, approvals: Approvals) -> list[tuple[str, str]]:
    """Look, read what is asked for, and name what is not as approved."""
    found = []
    for name in approval.changed():
        while True:
            try:
                found += [(name, one.what) for one in approval.check(name, approvals.digests)]
                break
            except UnreadError as error:
                sha256, state = read_digest(error.path)
                approvals.digests.known[FileState(*state)] = sha256
    return found


def test_what_did_not_change_is_not_looked_at_again(
    approvals: Approvals, approval: Approval
) -> None:
    assert wrong(approval, approvals) == []
    assert approval.changed() == []


def test_content_is_read_once_and_again_only_where_the_file_is_another(
    approvals: Approvals, approval: Approval, model: Path
) -> None:
    wrong(approval, approvals)
    known = len(approvals.digests.known)
    os.utime(model / "weights.safetensors", ns=(1, 1))
    assert approval.changed() == ["latest.safetensors", "weights.safetensors"]
    with pytest.raises(UnreadError):
        approval.check("weights.safetensors", approvals.digests)
    assert len(approvals.digests.known) == known


def test_content_put_back_times_is_still_seen_by_its_change_time(
    approvals: Approvals, approval: Approval, model: Path
) -> None:
    wrong(approval, approvals)
    weights = model / "weights.safetensors"
    before = weights.stat()
    weights.write_bytes(b"\x02\0\0\0\0\0\0\0[]")
    os.utime(weights, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert ("weights.safetensors", "changed") in wrong(approval, approvals)


def test_a_directory_led_elsewhere_makes_what_is_below_it_another(
    approvals: Approvals, approval: Approval, model: Path
) -> None:
    wrong(approval, approvals)
    (model / "sub").rename(model.parent / "away")
    (model.parent / "evil").mkdir()
    (model.parent / "evil" / "config.json").write_text('{"auto_map": 1}')
    (model / "sub").symlink_to("../evil")
    assert ("sub/config.json", "changed") in wrong(approval, approvals)


def test_new_code_and_models_are_told_and_logs_locks_and_caches_are_not(
    approvals: Approvals, approval: Approval, model: Path
) -> None:
    wrong(approval, approvals)
    (model / "modeling.py").touch()
    (model / "sub" / "more.safetensors").touch()
    (model / "sub" / "x.lock").touch()
    (model / "server.log").touch()
    found = wrong(approval, approvals)
    assert found == [("modeling.py", "extra"), ("sub/more.safetensors", "extra")]


def test_a_file_is_known_by_whatever_name_it_is_opened(approvals: Approvals, model: Path) -> None:
    (model.parent / "again").hardlink_to(model / "weights.safetensors")
    here = (model.parent / "again").stat()
    found = approvals.find_file((here.st_dev, here.st_ino))
    assert found is not None
    assert found[0].root == model


def test_a_manifest_of_another_key_is_forged_and_told_once(
    approvals: Approvals, model: Path, tmp_path: Path
) -> None:
    path = default_path(tmp_path / "state", model)
    entries = inventory(model, DigestCache())
    approve(model, entries, Signer.load_or_make(tmp_path / "other.key"), path)
    assert approvals.refresh() == [path]
    assert approvals.refresh() == []
    assert str(model) in approvals.roots, "what was approved before still counts"


def test_a_new_approval_counts_and_its_workloads_stay(
    approvals: Approvals, approval: Approval, model: Path, tmp_path: Path
) -> None:
    approval.users.add("server")
    (model / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0{ ")
    entries = inventory(model, DigestCache())
    signer = Signer.load_or_make(tmp_path / "models.key")
    approve(model, entries, signer, default_path(tmp_path / "state", model))
    approvals.refresh()
    anew = approvals.roots[str(model)]
    assert anew.users == {"server"}
    assert wrong(anew, approvals) == []


def test_what_can_be_kept_is_each_approved_file_and_every_way_to_it(
    approval: Approval, model: Path
) -> None:
    approval.changed()
    files, places = approval.numbers()
    weights, config = model / "weights.safetensors", model / "sub" / "config.json"
    assert files == {(one.st_dev, one.st_ino) for one in (weights.stat(), config.stat())}
    reached = (model / "latest.safetensors", model, model / "sub")
    assert places == {(one.st_dev, one.st_ino) for one in (path.lstat() for path in reached)}
