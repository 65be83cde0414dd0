"""OpenSSF Model Signing bundles: verified by the optional package, asked for when it is absent."""

import sys
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from agent.models.bundles import BundleError, NoModelSigningError, verify_bundle


def test_without_the_package_it_says_what_to_install(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "model_signing", None)
    with pytest.raises(NoModelSigningError, match=r"inferward\[signing\]"):
        verify_bundle(model, tmp_path / "model.sig", tmp_path / "key.pub")


def test_a_signed_directory_verifies_until_it_changes(model: Path, tmp_path: Path) -> None:
    from model_signing import signing  # noqa: PLC0415 (optional)

    (model / "latest.safetensors").unlink()  # bundles hold no links
    secret, public, bundle = (tmp_path / name for name in ("key", "key.pub", "model.sig"))
    key = ec.generate_private_key(ec.SECP256R1())
    secret.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    public.write_bytes(
        key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    )
    config = signing.Config()  # type: ignore[no-untyped-call]
    config.use_elliptic_key_signer(private_key=secret).sign(model, bundle)
    verify_bundle(model, bundle, public)
    (model / "weights.safetensors").write_bytes(b"other")
    with pytest.raises(BundleError):
        verify_bundle(model, bundle, public)
