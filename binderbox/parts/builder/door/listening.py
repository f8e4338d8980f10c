"""The door's socket, at a path that build pods have mounted."""

from __future__ import annotations

import os
import socket
from contextlib import suppress


def listen(path: str) -> socket.socket:
    """Return a socket that listens at `path`, in place of one that an earlier door left."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    partial = f"{path}.new"
    with suppress(FileNotFoundError):
        os.unlink(partial)
    listener.bind(partial)
    os.chmod(partial, 0o600)  # build pods run as root; whoever else gets here is refused by what it is
    listener.listen(128)
    os.rename(partial, path)
    return listener
