"""What the door sees of a pod at the other end of its socket."""

from __future__ import annotations

import select
import socket

from ..engine import wire

GONE = select.POLLHUP | select.POLLRDHUP | select.POLLERR


def still_there(pod: socket.socket) -> None:
    """Raise `wire.Closed` if the pod closed its end; what it has sent and nobody has read yet is left where it is."""
    look = select.poll()
    look.register(pod, select.POLLRDHUP)
    if any(events & GONE for _, events in look.poll(0)):
        raise wire.Closed("the build pod left while it waited")
