"""Keys: made once, for their owner only, and nobody is let in by mistake."""

import stat
from pathlib import Path

import pytest

from agent.errors import UnknownError
from agent.keys import (
    HostNameError,
    KeyExistsError,
    KeyFileError,
    KeyFormError,
    KeyInUseError,
    KeyStore,
    NoKeyError,
    UnknownHostKeyError,
    check_public_key,
)

KEY = "rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7"  # the ZeroMQ specification's own example
OTHER = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID"


@pytest.fixture
def keys(tmp_path: Path) -> KeyStore:
    return KeyStore(tmp_path / "keys")


def test_a_new_pair_is_for_its_owner_only_and_shows_its_public_half(keys: KeyStore) -> None:
    made = keys.new("host", "h1")
    file = keys.path / "host.key"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(keys.path.stat().st_mode) == 0o700
    assert keys.pair("host").public == made.public
    assert keys.show() == (made,)
    assert keys.pair("host").secret not in repr(keys.pair("host"))


def test_a_pair_is_never_overwritten(keys: KeyStore) -> None:
    made = keys.new("central", "c")
    with pytest.raises(KeyExistsError, match="not overwritten"):
        keys.new("central", "c")
    assert keys.pair("central").public == made.public
    assert sorted(path.name for path in keys.path.iterdir()) == ["central.key"]


def test_only_known_roles_have_keys(keys: KeyStore) -> None:
    with pytest.raises(UnknownError):
        keys.new("admin", "h1")
    with pytest.raises(NoKeyError, match="agent keys new host"):
        keys.pair("host")


def test_a_host_is_allowed_until_revoked(keys: KeyStore) -> None:
    keys.allow("h1", KEY + "\n")
    assert keys.allowed() == {KEY: "h1"}
    assert [(key.role, key.name) for key in keys.show()] == [("allowed", "h1")]
    keys.revoke("h1")
    assert keys.allowed() == {}
    with pytest.raises(UnknownHostKeyError):
        keys.revoke("h1")


def test_one_key_is_one_host_and_one_host_is_one_key(keys: KeyStore) -> None:
    keys.allow("h1", KEY)
    with pytest.raises(KeyInUseError):
        keys.allow("h2", KEY)
    with pytest.raises(KeyExistsError):
        keys.allow("h1", OTHER)


@pytest.mark.parametrize("text", ["", KEY[:-1], KEY + "0", KEY[:-1] + "~", "#" * 40, "é" * 40])
def test_what_is_no_key_is_refused(text: str) -> None:
    with pytest.raises(KeyFormError):
        check_public_key(text)


@pytest.mark.parametrize("name", ["", "../x", "a/b", ".hidden", "a b", "x" * 254, "a\n", 'a"'])
def test_a_name_that_no_host_may_have_is_refused(keys: KeyStore, name: str) -> None:
    with pytest.raises(HostNameError):
        keys.allow(name, KEY)
    with pytest.raises(HostNameError):
        keys.revoke(name)


def test_a_file_that_holds_no_key_lets_nobody_in(keys: KeyStore) -> None:
    keys.allow("h1", KEY)
    (keys.allowed_path / "h2.pub").write_text("no key")
    (keys.allowed_path / "h3.pub").write_bytes(b"\xff\xfe")
    (keys.allowed_path / "h4.pub").mkdir()
    assert keys.allowed() == {KEY: "h1"}


@pytest.mark.parametrize("content", ["", "name = 1", 'public = "x"', "\xff", "name = "])
def test_a_damaged_pair_is_told_by_its_file(keys: KeyStore, content: str) -> None:
    keys.new("host", "h1")
    (keys.path / "host.key").write_text(content, encoding="latin-1")
    with pytest.raises(KeyFileError, match=r"host\.key"):
        keys.pair("host")


def test_a_secret_that_others_may_read_is_not_used(keys: KeyStore) -> None:
    keys.new("host", "h1")
    (keys.path / "host.key").chmod(0o644)
    with pytest.raises(KeyFileError, match="0600"):
        keys.pair("host")
