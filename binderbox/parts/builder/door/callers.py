"""How many are at the door: so many in all, and one of each pod. Asked before anything is spent on a caller."""

from __future__ import annotations

import threading

from .reasons import AGAIN
from .refusal import Refused

FULL = f"This node has as many builds in line as it takes. {AGAIN}"


class Full(Exception):
    """There is no room for one more."""


class Callers:
    def __init__(self, most: int) -> None:
        self._most = most
        self._inside: set[str] = set()
        self._lock = threading.Lock()

    def enter(self, uid: str) -> None:
        """Count the pod's caller in, until `leave`; raises Refused for its second, and Full."""
        with self._lock:
            if uid in self._inside:
                raise Refused("busy", "this pod has a build at this door already")
            if len(self._inside) >= self._most:
                raise Full(FULL)
            self._inside.add(uid)

    def leave(self, uid: str) -> None:
        with self._lock:
            self._inside.discard(uid)
