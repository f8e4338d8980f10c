"""What BinderHub counted of launches since it started, read from its /metrics. Pure; the agent travels with it.

Counters: BinderHub b9fad995, binderhub/builder.py, `binderhub_launch_time_seconds`: launches, not builds. A broken
repository fails earlier and is not counted, nor is one that the quota refuses.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

COUNT = re.compile(r"^binderhub_launch_time_seconds_count\{([^}]*)\} ([0-9.e+]+)$", re.M)
STARTED = re.compile(r"^process_start_time_seconds ([0-9.e+]+)$", re.M)
MOST = 1e12  # launches that nobody ever made; a number above it is none
STATUS = re.compile(r'\bstatus="(\w+)"')


@dataclass(frozen=True)
class Launches:
    """Launches of one process; one that worked at its second try counts once."""

    success: int
    failure: int

    @property
    def share(self) -> float:
        total = self.success + self.failure
        return self.success / total if total else 0.0


def parse_launches(metrics: str) -> Launches | None:
    """Of a member's /metrics; None when it has no such counters, as before its first launch."""
    counts = {"success": 0, "failure": 0}
    found = False
    for labels, value in COUNT.findall(metrics):
        status = STATUS.search(labels)
        if status is not None and (number := _number(value)) is not None:
            found = True
            if status[1] in counts:
                counts[status[1]] += int(number)
    return Launches(**counts) if found else None


def parse_start(metrics: str) -> float | None:
    """When the process began that tells them, in seconds since 1970; None when they do not say."""
    found = STARTED.search(metrics)
    return _number(found[1]) if found else None


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return number if 0 <= number < MOST else None
