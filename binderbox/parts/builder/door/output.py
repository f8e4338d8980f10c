"""What buildctl writes while it runs: its log, in whole lines, and its trace."""

from __future__ import annotations

import os
import selectors
import socket
from collections.abc import Callable

from .reasons import Once
from .vertices import Vertices

TAIL = 4 << 10
MAX_LINE = PIECE = 64 << 10
LOOK_EVERY_S = 1.0
_OF_THE_NODE = b'msg="tracing logs to '  # buildctl's own word on where its trace goes


class Output:
    """`log` and `trace` are descriptors to read from; `tail` is the end of the log."""

    def __init__(self, log: int, trace: int, vertices: Vertices) -> None:
        self._log = log
        self._trace = trace
        self._vertices = vertices
        self._rest = b""
        self._once = Once()
        self.tail = b""

    def pass_on(
        self, to: Callable[[bytes], None], pod: socket.socket | None, ending: Callable[[], str]
    ) -> str:
        """Until the log ends, which returns nothing, or the build must end, and why: the pod closes its connection (or says
        anything: it has nothing more to say), or `ending`, asked each second at least, says so."""
        with selectors.DefaultSelector() as ready:
            ready.register(self._log, selectors.EVENT_READ)
            ready.register(self._trace, selectors.EVENT_READ)
            if pod:
                ready.register(pod, selectors.EVENT_READ)
            while True:
                if why := ending():
                    return why
                events = {key.fileobj for key, _ in ready.select(LOOK_EVERY_S)}
                if pod in events:
                    return "the build pod left"
                if self._trace in events:
                    if piece := os.read(self._trace, PIECE):
                        self._vertices.feed(piece)
                    else:
                        ready.unregister(self._trace)
                if self._log in events:
                    piece = os.read(self._log, PIECE)
                    if not piece:
                        self._take(b"\n" if self._rest else b"", to)
                        return ""
                    self._take(piece, to)

    def _take(self, piece: bytes, to: Callable[[bytes], None]) -> None:
        self.tail = (self.tail + piece)[-TAIL:]
        lines, newline, self._rest = (self._rest + piece).rpartition(b"\n")
        if newline:
            told = lines + newline
            if _OF_THE_NODE in told:
                told = b"".join(one for one in told.splitlines(keepends=True) if _OF_THE_NODE not in one)
            to(self._once.pass_on(told))
        elif len(self._rest) > MAX_LINE:
            to(self._rest)
            self._rest = b""
