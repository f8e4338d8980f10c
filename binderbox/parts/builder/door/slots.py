"""Build slots, given out in the order in which builds came, except that no repository keeps the others out.

One popular repository that builds slowly took all slots of mybinder.org (incident reports of 2018-07-30, 2019-03-24).
"""

from __future__ import annotations

import threading
from bisect import insort
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass


@dataclass(eq=False)
class Ticket:
    """A build that waits; those of the same repository have turns one after the other."""

    turn: int


class Slots:
    """At most `count` holders at the same time; the others wait in line.

    Start-time fair queueing: a repository's next build stands one turn behind its last one, and nobody's stands
    before the turn that is being served. With one build of each repository that is the order of arrival.
    """

    def __init__(self, count: int) -> None:
        self._free = count
        self._line: list[Ticket] = []  # in the order of their turns
        self._now = 0
        self._last: dict[str, int] = {}  # repository -> turn of its last build
        self._changed = threading.Condition()

    @contextmanager
    def turn(
        self, repository: str, on_place: Callable[[int], None], still_there: Callable[[], None]
    ) -> Iterator[None]:
        """Hold a slot inside the `with`.

        + repository: whose build it is
        + on_place: told the place in line (1 is next) at first and whenever it changes; never at once
        + still_there: called about once a second of waiting; raises to give up
        """
        told = 0
        with self._changed:
            ticket = self._stand_in_line(repository)
        try:
            while True:
                with self._changed:
                    place = self._line.index(ticket) + 1
                    if self._free and place == 1:
                        self._line.remove(ticket)
                        self._now = ticket.turn
                        self._free -= 1
                        self._changed.notify_all()
                        break
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

    def _stand_in_line(self, repository: str) -> Ticket:
        self._last = {name: turn for name, turn in self._last.items() if turn >= self._now}
        ticket = Ticket(max(self._now, self._last.get(repository, -1) + 1))
        self._last[repository] = ticket.turn
        insort(self._line, ticket, key=lambda one: one.turn)
        return ticket
