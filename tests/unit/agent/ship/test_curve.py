"""Key pairs as people pass them on: on a command line."""

from agent.ship.curve import new_pair


def test_no_public_key_begins_as_an_option_does() -> None:
    assert not [one for one in (new_pair() for _ in range(600)) if one.public.startswith("-")]
