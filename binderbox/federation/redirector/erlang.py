"""The two formulas of the model: how often a member has no usable place left, and what late news of that costs.

Sources: Erlang's loss formula, true for any spread of session lengths; BinderHub b9fad995 binderhub/health.py
(pods counted at most once a minute) and quota.py (a launch beyond the quota is an error); the redirector's checks as
in timing.py.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from binderbox.federation.redirector.config import CheckTiming

PODS_CACHED_S = 60
STEPS = 8  # of the integral over how old the news is
SPREAD = 12  # standard deviations after which a Poisson distribution is cut off


def all_taken(offered: float, places: int) -> float:
    """Erlang B: the part of the time in which all `places` are taken, for `offered` launches in a mean session length."""
    taken = 1.0
    for place in range(1, places + 1):
        taken = offered * taken / (place + offered * taken)
    return taken


def late_errors_per_hour(
    taken: float,
    places: int,
    session_h: float,
    rates: Sequence[tuple[float, float]],
    headroom: int,
    timing: CheckTiming,
) -> float:
    """Launches an hour that fail because the redirector hears late that the last usable place is gone.

    `taken` is the part of the time in which all `places` are; `rates` are the launches an hour that come, each with
    its chance: fewer while others are in rotation too, and the rare high ones do the harm.
    The last place is taken as often as it is freed, and a member leaves at most once in `failed_period_s`. From then
    launches still come until the pods are counted anew and a check asks: any time up to 60 s and half a period (there
    are two replicas that ask), all equally likely. Those that come beyond the headroom, while others end, fail.
    """
    times_per_hour = min(taken * places / session_h, 3600 / timing.failed_period_s)
    excess = 0.0
    for step in range(STEPS):
        hours = (PODS_CACHED_S + timing.period_s / 2) * (step + 0.5) / STEPS / 3600
        left = places / session_h * hours
        excess += math.fsum(chance * _excess(rate * hours, left, headroom) for chance, rate in rates) / STEPS
    return times_per_hour * excess


def _excess(came: float, left: float, room: int) -> float:
    """The mean of what is above `room` when on average `came` come and `left` leave, each a Poisson number."""
    ins, outs = _poisson(came), _poisson(left)
    above = [0.0] * (len(ins) + 1)  # above[k]: the mean of what is more than k of those that come
    tail = 0.0
    for number in range(len(ins) - 1, -1, -1):
        above[number] = above[number + 1] + tail
        tail += ins[number]
    return math.fsum(
        chance * above[less + room] for less, chance in enumerate(outs) if less + room < len(ins)
    )


def _poisson(mean: float) -> list[float]:
    """The chance of each number from 0, as far as it matters."""
    logs = -mean
    found = []
    for number in range(math.ceil(mean + SPREAD * math.sqrt(mean + 1)) + 1):
        found.append(math.exp(logs))
        logs += math.log(mean / (number + 1)) if mean else -math.inf
    return found
