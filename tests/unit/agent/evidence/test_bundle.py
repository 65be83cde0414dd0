import hashlib
import json
import subprocess
from pathlib import Path

import pytest

from agent.evidence.bounds import Bounds
from agent.evidence.bundle import Bundle
from agent.evidence.errors import EvidenceError
from agent.evidence.pieces import Piece


def contents(path: Path, into: Path) -> Path:
    into.mkdir()
    subprocess.run(["tar", "xf", path, "-C", into], check=True)
    return into


def test_the_manifest_has_the_digest_of_every_member(tmp_path: Path) -> None:
    with Bundle(tmp_path / "evidence", "one", Bounds()) as bundle:
        bundle.add(Piece("a/b", b"text"))
        bundle.add(Piece("c", b"", "it had ended"))
        sealed = bundle.seal({"subject": "x"})
    root = contents(sealed.path, tmp_path / "x")
    raw = (root / "manifest.json").read_bytes()
    manifest = json.loads(raw)
    assert manifest["subject"] == "x"
    assert manifest["members"][1]["note"] == "it had ended"
    for member in manifest["members"]:
        content = (root / member["name"]).read_bytes()
        assert hashlib.sha256(content).hexdigest() == member["sha256"]
    assert hashlib.sha256(raw).hexdigest() == sealed.manifest_sha256
    assert hashlib.sha256(sealed.path.read_bytes()).hexdigest() == sealed.sha256
    assert (sealed.files, sealed.incomplete) == (2, 1)


def test_a_bundle_and_its_directory_are_for_their_owner_alone(tmp_path: Path) -> None:
    with Bundle(tmp_path / "evidence", "one", Bounds()) as bundle:
        sealed = bundle.seal({})
    assert sealed.path.stat().st_mode & 0o777 == 0o600
    assert sealed.path.parent.stat().st_mode & 0o777 == 0o700


def test_what_is_beyond_the_bounds_is_named_but_left_out(tmp_path: Path) -> None:
    with Bundle(tmp_path / "evidence", "one", Bounds(bundle_bytes=10)) as bundle:
        bundle.add(Piece("large", bytes(11)))
        bundle.add(Piece("small", bytes(10)))
        sealed = bundle.seal({})
    root = contents(sealed.path, tmp_path / "x")
    assert (root / "large").read_bytes() == b""
    assert (root / "small").read_bytes() == bytes(10)
    members = json.loads((root / "manifest.json").read_bytes())["members"]
    assert members[0]["note"] == "left out: the bundle is full"


def test_an_error_leaves_no_half_bundle(tmp_path: Path) -> None:
    with pytest.raises(KeyError), Bundle(tmp_path / "evidence", "one", Bounds()):
        raise KeyError
    assert list((tmp_path / "evidence").iterdir()) == []


def test_a_link_is_no_place_for_evidence(tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "evidence").symlink_to("elsewhere")
    with pytest.raises(EvidenceError):
        Bundle(tmp_path / "evidence", "one", Bounds())
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_directory_that_others_can_write_is_no_place_for_evidence(tmp_path: Path) -> None:
    (tmp_path / "evidence").mkdir()
    (tmp_path / "evidence").chmod(0o777)
    with pytest.raises(EvidenceError, match="somebody else could change it"):
        Bundle(tmp_path / "evidence", "one", Bounds())
