"""A build context as it arrives in frames, for `tarfile` to read like a file."""

from __future__ import annotations

import socket
import time

from ..engine import wire
from .refusal import Refused


class ContextStream:
    """Reads DATA frames up to END.

    + ceiling: bytes of the whole stream, tar headers and padding included
    + idle_s, within_s: a frame must be complete within the first, the context within the second
    """

    def __init__(self, pod: socket.socket, ceiling: int, idle_s: float, within_s: float) -> None:
        self._pod = pod
        self._left = ceiling
        self._idle_s = idle_s
        self._deadline = time.monotonic() + within_s
        self._buffer = memoryview(b"")
        self._ended = False

    def read(self, size: int, /) -> bytes:
        parts = bytearray()
        while len(parts) < size and self._fill():
            take = min(size - len(parts), len(self._buffer))
            parts += self._buffer[:take]
            self._buffer = self._buffer[take:]
        return bytes(parts)

    def finish(self) -> None:
        """Read on to END: an archive is padded after its last file."""
        while self._fill():
            self._buffer = memoryview(b"")

    def _fill(self) -> bool:
        while not self._buffer and not self._ended:
            if time.monotonic() > self._deadline:
                raise Refused("context-slow", "the build context took too long to arrive")
            kind, payload = wire.receive(self._pod, wire.DATA + wire.END, self._idle_s)
            self._ended = kind == wire.END
            self._left -= len(payload)
            if self._left < 0:
                raise Refused("context-size", "the build context is larger than this node takes")
            self._buffer = memoryview(payload)
        return bool(self._buffer)
