"""A directory is what was approved, or every difference is named."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agent.models.inventory import inventory
from agent.models.manifest import (
    DamagedManifestError,
    ForgedManifestError,
    Manifest,
    NotTrustedError,
    approve,
    default_path,
    read,
)
from agent.models.signing import Checker, Signer, SigningKeyError, public_path
from agent.models.verify import verify, verify_file
from collectors.models.digests import DigestCache


@pytest.fixture
def key(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "models.key"


@pytest.fixture
def file(tmp_path: Path, model: Path) -> Path:
    return default_path(tmp_path / "state", model)


@pytest.fixture
def approved(model: Path, key: Path, file: Path) -> Manifest:
    approve(model, inventory(model, DigestCache()), Signer.load_or_make(key), file)
    return read(file, model, Checker.load(public_path(key)))


def differences(model: Path, approved: Manifest) -> list[tuple[str, str]]:
    found = verify(model, approved, DigestCache())
    return [(deviation.path, deviation.what) for deviation in found]


def test_an_untouched_directory_has_no_difference(model: Path, approved: Manifest) -> None:
    assert differences(model, approved) == []


def change(root: Path) -> None:
    (root / "weights.safetensors").write_bytes(b"\x02\0\0\0\0\0\0\0[]")


def remove(root: Path) -> None:
    (root / "sub" / "config.json").unlink()


def add(root: Path) -> None:
    (root / "sub" / "modeling.py").write_text("")


def swap_link(root: Path) -> None:
    (root / "other").write_bytes((root / "weights.safetensors").read_bytes())
    (root / "latest.safetensors").unlink()
    (root / "latest.safetensors").symlink_to("other")


def swap_file(root: Path) -> None:
    (root / "weights.safetensors").rename(root.parent / "elsewhere")
    (root / "weights.safetensors").symlink_to(root.parent / "elsewhere")


def open_up(root: Path) -> None:
    (root / "sub" / "config.json").chmod(0o666)


@pytest.mark.parametrize(
    ("act", "expected"),
    [
        (change, [("latest.safetensors", "changed"), ("weights.safetensors", "changed")]),
        (remove, [("sub/config.json", "missing")]),
        (add, [("sub/modeling.py", "extra")]),
        (swap_link, [("latest.safetensors", "swapped"), ("other", "extra")]),
        (swap_file, [("weights.safetensors", "swapped")]),
        (open_up, [("sub/config.json", "mode")]),
    ],
)
def test_each_difference_is_named(
    act: Callable[[Path], None],
    expected: list[tuple[str, str]],
    model: Path,
    approved: Manifest,
) -> None:
    act(model)
    assert differences(model, approved) == expected


@pytest.mark.parametrize("field", ["sha256", "path"])
def test_a_manifest_changed_after_signing_is_refused(
    field: str, model: Path, approved: Manifest, key: Path, file: Path
) -> None:
    table = json.loads(file.read_text())
    table["manifest"]["entries"][0][field] = "0" * 64
    file.write_text(json.dumps(table))
    with pytest.raises(ForgedManifestError):
        read(file, model, Checker.load(public_path(key)))


def test_a_manifest_signed_with_another_key_is_refused(
    model: Path, approved: Manifest, tmp_path: Path, file: Path
) -> None:
    other = tmp_path / "other.key"
    Signer.load_or_make(other)
    with pytest.raises(ForgedManifestError):
        read(file, model, Checker.load(public_path(other)))


def test_a_directory_never_approved_says_so(model: Path, key: Path, file: Path) -> None:
    Signer.load_or_make(key)
    with pytest.raises(NotTrustedError, match="agent models trust"):
        read(file, model, Checker.load(public_path(key)))


def test_a_damaged_manifest_says_so(model: Path, key: Path, tmp_path: Path) -> None:
    Signer.load_or_make(key)
    (tmp_path / "m").write_text("{}")
    with pytest.raises(DamagedManifestError):
        read(tmp_path / "m", model, Checker.load(public_path(key)))


def test_a_secret_key_that_others_may_read_is_not_used(key: Path) -> None:
    Signer.load_or_make(key)
    key.chmod(0o644)
    with pytest.raises(SigningKeyError, match="others may read it"):
        Signer.load_or_make(key)


def test_one_file_is_verified_alone(model: Path, approved: Manifest) -> None:
    cache = DigestCache()
    assert verify_file(model, "weights.safetensors", approved, cache) == []
    change(model)
    (found,) = verify_file(model, "weights.safetensors", approved, cache)
    assert found.what == "changed"
    (found,) = verify_file(model, "never.bin", approved, cache)
    assert found.what == "unreadable"


def test_the_same_state_of_a_file_is_read_once(model: Path) -> None:
    cache, read_bytes = DigestCache(), list[int]()
    path = model / "weights.safetensors"
    first = cache.digest(path)
    path.chmod(0o600)  # moves ctime: read anew
    assert cache.digest(path, read_bytes.append) == first
    assert len(cache.known) == 2
    assert cache.digest(path) == first
    assert len(cache.known) == 2


def test_progress_counts_every_byte(model: Path) -> None:
    told: list[int] = []
    inventory(model, DigestCache(), told.append)
    assert sum(told) == 10 + 10 + 2
