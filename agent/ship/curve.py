"""CURVE key pairs and the encrypted socket of a host."""

from agent.keys import KeyPair


def new_pair() -> KeyPair:
    """Return a fresh key pair, whose public half no command takes for an option."""
    import zmq  # noqa: PLC0415 - `agent keys show` answers without loading ZeroMQ

    while True:
        public, secret = zmq.curve_keypair()
        if not public.startswith(b"-"):  # one of 85 does
            return KeyPair(public.decode("ascii"), secret.decode("ascii"))
