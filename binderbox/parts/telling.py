"""What a program of the node did to protect it: a line in the audit log, and for a day in its status and a check.

Standard library only: it travels to the node.
"""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path

from binderbox.parts.audit import append
from binderbox.parts.events import say
from binderbox.parts.whole import replace

KEPT_S = 24 * 3600
MOST = 20


class Telling:
    """`audit_file` has a line for each, in the form of those of people's commands; `path` outlives a restart.

    + program: the door, or another; in the audit log it is who did it
    """

    def __init__(self, path: Path, audit_file: Path, program: str) -> None:
        self._path = path
        self._program = program
        self._audit_file = audit_file
        self._lock = threading.Lock()
        self._told = _read(path)

    def tell(self, what: str, why: str) -> None:
        """Tell of one; those of the same kind within a minute are one line with the last reason and a count."""
        now = time.time()
        with self._lock:
            self._told = [one for one in self._told if now - float(str(one["at"])) < KEPT_S][-MOST + 1 :]
            last = next((one for one in reversed(self._told) if one["what"] == what), None)
            if last and now - float(str(last["at"])) < 60:
                last.update(why=why, times=int(str(last["times"])) + 1)
            else:
                self._told.append({"at": round(now), "what": what, "why": why, "times": 1})
                self._audit(what, why)
            replace(self._path, self._told)

    def recent(self) -> list[dict[str, object]]:
        """Those of the last day, oldest first: `at` (seconds since 1970), `what`, `why`, `times`."""
        now = time.time()
        with self._lock:
            return [one for one in self._told if now - float(str(one["at"])) < KEPT_S]

    def _audit(self, what: str, why: str) -> None:
        try:
            append(self._audit_file, f"the {self._program} on this node", what, self._program, why=why)
        except OSError as error:  # a full disk is a reason to tell, and must not end who tells
            say("not-told", fault=str(error), what=what, why=why)


def _read(path: Path) -> list[dict[str, object]]:
    try:
        told = json.loads(path.read_text())
        return [one for one in told if {"at", "what", "why", "times"} <= one.keys()]
    except (OSError, ValueError, TypeError, AttributeError):
        return []
