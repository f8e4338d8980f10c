"""Weights that keep every member under its quota."""

from __future__ import annotations

import math
from collections.abc import Sequence

from binderbox.federation.redirector.model import Capacity, usable_places

SLACK_MAX = 100.0  # standard deviations; with more room than this nobody is near anything


def fitting_weights(
    members: Sequence[Capacity], sessions: float, headroom: int = 10, total: int = 100
) -> dict[str, int]:
    """Whole weights that keep each member equally far from leaving rotation, with so many sessions at once in all.

    Far is counted in standard deviations of its pods (the square root of their mean), so that a small member gets
    less than its part of the places: chance moves it more. Weights add up to about `total`, each at least 1.
    Raises ValueError when the sessions do not fit, or when a member has no quota or no usable place.
    """
    places = {}
    for one in members:
        room = usable_places(one, headroom)
        if not room:
            raise ValueError(f"{one.name}: weights need a quota above {headroom}, found {one.quota}")
        places[one.name] = room
    if not 0 < sessions <= sum(places.values()):
        raise ValueError(f"{sessions:g} sessions, but the members have {sum(places.values())} usable places")
    slack = _slack(list(places.values()), sessions)
    means = {name: _mean(room, slack) for name, room in places.items()}
    whole = math.fsum(means.values())
    return {name: max(1, round(total * mean / whole)) for name, mean in means.items()}


def _slack(places: Sequence[int], sessions: float) -> float:
    """How many standard deviations each can have to its last place when their means add up to `sessions`."""
    low, high = 0.0, SLACK_MAX
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (
            (middle, high) if sum(_mean(room, middle) for room in places) > sessions else (low, middle)
        )
    return low


def _mean(room: float, slack: float) -> float:
    """The mean number of pods that is `slack` of its own square roots below `room`."""
    return ((math.sqrt(slack * slack + 4 * room) - slack) / 2) ** 2
