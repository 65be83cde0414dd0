"""OpenSSF Model Signing bundles, by the `model-signing` package where it is installed.

Keys and certificates are checked here without a network; its keyless method needs one and is not
offered.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agent.errors import AgentError, NotReadyError


class NoModelSigningError(NotReadyError):
    """Bundles need the package model-signing. Install it with: pip install 'inferward[signing]'."""


class BundleError(AgentError):
    """{0} is not what the bundle {1} was signed for: {2}."""


def verify_bundle(
    root: Path, bundle: Path, key: Path | None, certificates: Sequence[Path] = ()
) -> None:
    """Verify a model directory against a bundle, with a public key or a certificate chain.

    Raises:
        NoModelSigningError: The package is absent.
        BundleError: The signature or a file does not fit.
    """
    try:
        from model_signing import verifying  # noqa: PLC0415 - heavy and optional
    except ImportError as error:
        raise NoModelSigningError from error
    try:
        config = verifying.Config()  # type: ignore[no-untyped-call]
        if key is not None:
            config.use_elliptic_key_verifier(public_key=key)
        else:
            config.use_certificate_verifier(certificate_chain=list(certificates))
        config.verify(root, bundle)
    except Exception as error:  # the package documents no types; any of them means no
        raise BundleError(root, bundle, error) from error
