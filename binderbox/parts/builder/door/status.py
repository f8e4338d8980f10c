"""What the door is doing, as a file that `binderbox status` and the checks read."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ...telling import Telling
from ...whole import replace
from .pods import Permit
from .spool import Spool


class Status:
    """Writes `{"updated", "slots", "builds": [...], "pushes": [...], "told": [...]}`; times are seconds since 1970.

    A build has `key`, `repository`, `tag`, `pod`, `state` (waiting, context, building), `since` and, while it
    waits, `place`. A push has `repository`, `tag` and `built_at`.
    """

    def __init__(self, path: str, slots: int, spool: Spool, telling: Telling) -> None:
        self._path = Path(path)
        self._slots = slots
        self._spool = spool
        self._telling = telling
        self._builds: dict[str, dict[str, object]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def build(self, permit: Permit) -> Iterator[str]:
        """Show a build while the `with` lasts; yields the key for `moved`."""
        key = uuid.uuid4().hex
        shown: dict[str, object] = {
            "key": key,
            "repository": permit.repository,
            "tag": permit.tag,
            "pod": permit.pod,
            "state": "waiting",
            "since": round(time.time()),
        }
        with self._lock:
            self._builds[key] = shown
        self.write()
        try:
            yield key
        finally:
            with self._lock:
                del self._builds[key]
            self.write()

    def moved(self, key: str, state: str, place: int | None = None) -> None:
        with self._lock:
            shown = self._builds[key]
            shown.pop("place", None)
            shown.update({"state": state, "since": round(time.time())})
            if place is not None:
                shown["place"] = place
        self.write()

    def write(self) -> None:
        with self._lock:
            value = {
                "updated": round(time.time()),
                "slots": self._slots,
                "builds": list(self._builds.values()),
                "pushes": [
                    {"repository": p.repository, "tag": p.tag, "built_at": round(p.built_at)}
                    for p in self._spool.all()
                ],
                "told": self._telling.recent(),
            }
            replace(self._path, value)
