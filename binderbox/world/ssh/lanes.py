"""More shells beside the first one, for threads that look at the same time.

They are opened when they are needed, hold no lock of the host, and change nothing. A server that allows no more sessions
(MaxSessions) is not an error: who finds no lane waits for the first shell.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from binderbox.world.ssh.shell import Shell

MOST = 4  # sshd allows ten sessions in all, and a forward or a file may want one


class Lanes:
    """`open_one` makes a shell, or raises anything when it cannot."""

    def __init__(self, first: Shell, open_one: Callable[[], Shell]) -> None:
        self._first = first
        self._open_one = open_one
        self._idle: list[Shell] = []
        self._left = MOST
        self._lock = threading.Lock()

    @contextmanager
    def one(self) -> Iterator[Shell]:
        """The first shell if it has nothing to do, else one of the others, else the first when it is done."""
        if not self._first.busy:
            yield self._first
            return
        lane = self._take()
        if lane is None:
            yield self._first
            return
        try:
            yield lane
        finally:
            with self._lock:
                if lane.usable:
                    self._idle.append(lane)

    def close(self) -> None:
        for lane in self._idle:
            lane.close()

    def _take(self) -> Shell | None:
        with self._lock:
            if self._idle:
                return self._idle.pop()
            if not self._left:
                return None
            self._left -= 1
        try:
            return self._open_one()
        except Exception:
            with self._lock:
                self._left = 0
            return None
