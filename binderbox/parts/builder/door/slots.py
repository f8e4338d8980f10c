"""Build slots, given out in the order in which builds came, except that nobody keeps the others out.

One popular repository that builds slowly took all slots of mybinder.org (incident reports of 2018-07-30, 2019-03-24). A
build cannot be asked to give its slot back, so where there is more than one, no name holds more than half of them, also
while nobody else is there.
"""

from __future__ import annotations

import threading
from bisect import insort
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Ticket:
    """A build that waits; those of one name have turns one after the other."""

    turn: int
    names: frozenset[str]


class Slots:
    """At most `count` holders at the same time; the others wait in line.

    Start-time fair queueing: a name's next build stands one turn behind its last one, and nobody's stands before the
    turn that is being served. With one build of each name that is the order of arrival.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._most = max(1, count // 2)
        self._held: Counter[str] = Counter()
        self._line: list[Ticket] = []  # in the order of their turns
        self._now = 0
        self._last: dict[str, int] = {}  # name -> turn of its last build
        self._changed = threading.Condition()

    @contextmanager
    def turn(
        self, names: frozenset[str], on_place: Callable[[int], None], still_there: Callable[[], None]
    ) -> Iterator[None]:
        """Hold a slot inside the `with`.

        + names: whose build it is: its repository, and the owner of that
        + on_place: told the place in line (1 is next) at first and whenever it changes; never at once
        + still_there: called about once a second of waiting; raises to give up
        """
        told = 0
        with self._changed:
            ticket = self._stand_in_line(names)
        try:
            while True:
                with self._changed:
                    if self._free and self._next() is ticket:
                        self._take(ticket)
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
                self._held -= Counter(ticket.names)
                self._changed.notify_all()

    @property
    def waiting(self) -> int:
        return len(self._line)

    def _next(self) -> Ticket | None:
        """The first in line whose names hold less than their most."""
        return next(
            (one for one in self._line if all(self._held[name] < self._most for name in one.names)), None
        )

    def _take(self, ticket: Ticket) -> None:
        self._line.remove(ticket)
        self._now = max(self._now, ticket.turn)  # one that was passed over stands before it
        self._held += Counter(ticket.names)
        self._free -= 1
        self._changed.notify_all()

    def _stand_in_line(self, names: frozenset[str]) -> Ticket:
        self._last = {name: turn for name, turn in self._last.items() if turn >= self._now}
        ticket = Ticket(max(self._now, *(self._last.get(name, -1) + 1 for name in names), 0), names)
        self._last |= dict.fromkeys(names, ticket.turn)
        insort(self._line, ticket, key=lambda one: one.turn)
        return ticket
