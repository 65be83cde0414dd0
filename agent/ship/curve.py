"""CURVE key pairs and the encrypted socket of a host."""

from agent.keys import KeyPair


def new_pair() -> KeyPair:
    """Return a fresh key pair."""
    import zmq  # noqa: PLC0415 - `agent keys show` answers without loading ZeroMQ

    public, secret = zmq.curve_keypair()
    return KeyPair(public.decode("ascii"), secret.decode("ascii"))
