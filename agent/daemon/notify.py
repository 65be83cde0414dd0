"""sd_notify(3): tells systemd that we are ready, alive, reloading or stopping."""

import os
import socket


def notify(*lines: str) -> bool:
    """Send state lines; False where no service manager listens.

    Raises:
        OSError: The socket named by NOTIFY_SOCKET does not take it.
    """
    # The one variable read outside configuration: it is systemd's protocol, not a setting.
    path = os.environ.get("NOTIFY_SOCKET", "")
    if not path:
        return False
    address = "\0" + path[1:] if path.startswith("@") else path
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel:
        channel.sendto("\n".join(lines).encode(), address)
    return True
