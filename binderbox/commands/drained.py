"""A drain as anybody may know of it."""

from __future__ import annotations

from binderbox.decide.drain import Drain
from binderbox.output.results import Drained


def public(drain: Drain) -> Drained:
    """All but the key."""
    return Drained(drain.reason, drain.who, drain.since, drain.closed)
