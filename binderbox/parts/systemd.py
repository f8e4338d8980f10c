"""What programs on the node tell systemd. Standard library only: it travels with them."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Tell systemd, as sd_notify(3) does; nothing where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET")
    if address:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
            sock.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
