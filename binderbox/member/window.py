"""The hours in which a member may follow the prime. Standard library only: it travels to the node."""

from __future__ import annotations

import re


def in_window(window: str, minute_of_day: int) -> bool:
    """`22:00-04:00` goes over midnight; an empty window is always open. Raises ValueError for another form."""
    if not window:
        return True
    found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", window)
    if not found:
        raise ValueError(f"expected HH:MM-HH:MM, found {window!r}")
    start, end = (int(found[at]) * 60 + int(found[at + 1]) for at in (1, 3))
    return start <= minute_of_day < end if start < end else minute_of_day >= start or minute_of_day < end
