"""Build slots, given out in the order in which builds came."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Slots:
    """At most `count` holders at the same time; the others wait in line."""

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: deque[object] = deque()
        self._changed = threading.Condition()

    @contextmanager
    def turn(self, on_place: Callable[[int], None], still_there: Callable[[], None]) -> Iterator[None]:
        """Hold a slot inside the `with`.

        + on_place: told the place in line (1 is next) at first and whenever it changes; never at once
        + still_there: called about once a second of waiting; raises to give up
        """
        ticket = object()
        told = 0
        with self._changed:
            self._line.append(ticket)
        try:
            while True:
                with self._changed:
                    if self._free and self._line[0] is ticket:
                        self._line.popleft()
                        self._free -= 1
                        self._changed.notify_all()
                        break
                    place = self._line.index(ticket) + 1
                    if place == told:
                        self._changed.wait(1.0)
                if place != told:
                    on_place(place)  # outside the lock: it talks to a pod, which may be slow
                    told = place
                still_there()
        except BaseException:
            with self._changed:
                self._line.remove(ticket)
                self._changed.notify_all()
            raise
        try:
            yield
        finally:
            with self._changed:
                self._free += 1
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        return len(self._line)
