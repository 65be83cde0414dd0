"""A sealed baseline tells who learnt it, and that nobody changed it since."""

from pathlib import Path

import pytest

from agent.models.signing import Checker, Signer, public_path
from agent.seal import ForgedBaselineError, fingerprint, key_path, seal, unseal

CONTENT = b"what was learnt" * 99


@pytest.fixture
def signer(tmp_path: Path) -> Signer:
    return Signer.load_or_make(key_path(tmp_path))


def test_what_was_sealed_comes_back_with_its_signer(signer: Signer, tmp_path: Path) -> None:
    opened = unseal(seal(CONTENT, signer))
    assert opened.content == CONTENT
    assert opened.key == Checker.load(public_path(key_path(tmp_path))).raw
    assert opened.signer == fingerprint(signer.public)


def test_what_bears_no_seal_is_nobodys(signer: Signer) -> None:
    assert unseal(CONTENT) == unseal(CONTENT)
    assert (unseal(CONTENT).content, unseal(CONTENT).signer) == (CONTENT, "")


@pytest.mark.parametrize("at", [0, len(CONTENT) // 2, len(CONTENT) + 20, -1])
def test_one_changed_bit_is_a_forgery(signer: Signer, at: int) -> None:
    data = bytearray(seal(CONTENT, signer))
    data[at] ^= 1
    with pytest.raises(ForgedBaselineError, match="was changed after"):
        unseal(bytes(data))
