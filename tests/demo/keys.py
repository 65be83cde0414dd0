"""Gives central and the host their CURVE keys through `agent keys`, each in its own place."""

from typing import Any

from tests.demo.commands import CommandError, Commands

Z85_KEY_CHARACTERS = 40


def public_key(shown: Any) -> str:  # noqa: ANN401  (a JSON document)
    """Return the public key in what `agent keys new|show --json` printed; CommandError if none."""
    if isinstance(shown, dict):
        for name, value in shown.items():
            named = name == "public" or name.endswith("public_key") or name == "key"
            if named and isinstance(value, str) and len(value) == Z85_KEY_CHARACTERS:
                return value
    raise CommandError(f"`agent keys` showed no public key of {Z85_KEY_CHARACTERS} characters")


def make_central_key(central: Commands) -> str:
    """Make central's key pair; returns its public half."""
    return public_key(central.json("keys", "new", "central"))


def introduce(host: Commands, central: Commands, name: str) -> str:
    """Make the host's key pair and put its public half on central's list; returns that half."""
    key = public_key(host.json("keys", "new", "host"))
    central.json("keys", "allow", "--", name, key)  # a key may begin with a dash
    return key
