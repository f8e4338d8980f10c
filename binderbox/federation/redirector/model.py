"""What each member will carry, when it leaves rotation for lack of places, and what users see then.

A member in rotation gets launches by its weight; with `usable` = quota - headroom pods it leaves, and what it would
have got goes to the others. So each is a loss system whose losses overflow to the others, and the members are joined
by how often each is in rotation, taken as independent of each other. Users see an error where a launch reaches a
member at its quota: because nobody was in rotation and the prime got what it cannot hold, or because the news of a
member's last place came late.

Sources: mybinder.org-deploy 95860dbc images/federation-redirect/app.py (headroom, who gets launches), erlang.py.
tests/federation/test_model.py holds it to a simulation of launches with the rules' own code.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from binderbox.federation.redirector.config import CheckTiming
from binderbox.federation.redirector.erlang import all_taken, late_errors_per_hour

SURE = 1e-9  # a member that is out of rotation more rarely than this is taken as always in it
NEGLIGIBLE = 1e-9  # chances below this are dropped
CLOSE = 1e-7
ROUNDS = 2000
LATE_MOST = 0.01  # errors per launch by late news; more was never simulated: then nobody is in rotation, counted already
RATE_MAX = 100_000  # launches an hour, far more than the whole federation gets
FIRST_ERROR = 0.001  # errors per launch from which on users notice: one launch in a thousand
FIRST_LEAVE = 0.01  # part of the time out of rotation from which on a member counts as over its quota


@dataclass(frozen=True)
class Capacity:
    """One member: `quota` pods, None for no limit; `used` are there now. Weight 0 gets nothing."""

    name: str
    weight: float
    quota: int | None
    used: float = 0


@dataclass(frozen=True)
class Demand:
    """What comes: launches an hour, and the mean length of a session in hours."""

    launches_per_hour: float
    session_h: float

    @property
    def sessions(self) -> float:
        """How many sessions there would be at once if all found a place (Little's law)."""
        return self.launches_per_hour * self.session_h


@dataclass(frozen=True)
class Carried:
    """One member under a demand, in the long run.

    `share` of all launches that run there, `sessions` on average, `in_rotation` the part of the time;
    `leaves_after_h` hours from now until it is first out of rotation if all goes evenly, None for never.
    """

    name: str
    share: float
    sessions: float
    in_rotation: float
    late_errors_per_hour: float
    leaves_after_h: float | None


@dataclass(frozen=True)
class Outlook:
    """The federation under a demand. `nobody` is the part of the time in which no member is in rotation."""

    members: tuple[Carried, ...]
    errors_per_launch: float
    nobody: float


def outlook(
    members: Sequence[Capacity], demand: Demand, headroom: int = 10, timing: CheckTiming | None = None
) -> Outlook:
    """Foretell it: shares to a percentage point, errors to a factor of two while they are few, or many.

    Where the last 3 % of all places are being taken it tells too few for long sessions: launches then come in bunches
    that the formulas do not know. Launches while nobody is in rotation count as errors: the prime holds but `headroom` of them. Raises ValueError
    when no member has a weight above 0.
    """
    live = [one for one in members if one.weight > 0]
    if not live:
        raise ValueError("no member has a weight above 0")
    rate, hold = demand.launches_per_hour, demand.session_h
    inside, offered = _settle(live, demand, headroom)
    nobody = math.prod(1 - one for one in inside)
    told = {}
    for i, (one, part, came) in enumerate(zip(live, inside, offered, strict=True)):
        places = usable_places(one, headroom)
        late = 0.0
        if places:
            rates = [(chance, rate * one_share) for chance, one_share in _shares(live, inside, i)]
            late = late_errors_per_hour(1 - part, places, hold, rates, headroom, timing or CheckTiming())
        share, leaves = came * part / rate if rate else 0.0, leaves_after_h(one, came, hold, headroom)
        told[one.name] = Carried(one.name, share, came * part * hold, part, late, leaves)
    late = math.fsum(one.late_errors_per_hour for one in told.values())
    most = LATE_MOST * rate
    if late > most:
        told = {
            name: replace(one, late_errors_per_hour=one.late_errors_per_hour * most / late)
            for name, one in told.items()
        }
    return Outlook(
        tuple(told.get(one.name, Carried(one.name, 0.0, 0.0, 0.0, 0.0, None)) for one in members),
        min(1.0, nobody + min(late, most) / rate) if rate else 0.0,
        nobody,
    )


def usable_places(member: Capacity, headroom: int) -> int | None:
    """Pods with which a member leaves rotation: its quota less the headroom; None without a quota."""
    return None if member.quota is None else max(0, member.quota - headroom)


def leaves_after_h(
    member: Capacity, launches_per_hour: float, session_h: float, headroom: int = 10
) -> float | None:
    """Hours until a member that gets so many launches has its last usable place taken, going evenly; None for never.

    Its pods go to `launches_per_hour * session_h` as e^(-t / session_h).
    """
    usable, final = usable_places(member, headroom), launches_per_hour * session_h
    if usable is None:
        return None
    if member.used >= usable:
        return 0.0
    return session_h * math.log((final - member.used) / (final - usable)) if final > usable else None


def first_error_rate(
    members: Sequence[Capacity],
    session_h: float,
    headroom: int = 10,
    timing: CheckTiming | None = None,
    level: float = FIRST_ERROR,
) -> float:
    """Launches an hour at which `level` errors per launch are reached; infinite when that is beyond all reason."""
    return _first(
        lambda rate: outlook(members, Demand(rate, session_h), headroom, timing).errors_per_launch >= level
    )


def first_leave_rate(
    members: Sequence[Capacity], session_h: float, headroom: int = 10, part: float = FIRST_LEAVE
) -> float:
    """Launches an hour at which some member is out of rotation for `part` of the time; infinite without quotas."""

    def leaves(rate: float) -> bool:
        told = outlook(members, Demand(rate, session_h), headroom).members
        weights = {one.name: one.weight for one in members}
        return any(one.in_rotation <= 1 - part for one in told if weights[one.name] > 0)

    return _first(leaves)


def share_spread(share: float, popularity: Sequence[float]) -> float:
    """With `rendezvous`: the standard deviation of a member's share of launches, by the luck of repositories' names.

    `popularity` is each repository's part of all launches, adding up to 1; with `random` there is no such spread.
    """
    return math.sqrt(share * (1 - share) * math.fsum(one * one for one in popularity))


def _first(reached: Callable[[float], bool]) -> float:
    """The least rate that does it, to a thousandth, if every higher one does too; infinite above RATE_MAX."""
    low, high = 0.0, 1.0
    while not reached(high):
        low, high = high, high * 2
        if high > RATE_MAX:
            return math.inf
    while high - low > 0.001 * high:
        middle = (low + high) / 2
        low, high = (low, middle) if reached(middle) else (middle, high)
    return high


def _settle(live: Sequence[Capacity], demand: Demand, headroom: int) -> tuple[list[float], list[float]]:
    """The part of the time each member is in rotation, and the launches an hour it gets then: a fixed point."""
    places = [usable_places(one, headroom) for one in live]
    inside = [1.0] * len(live)
    for _ in range(ROUNDS):
        offered = [demand.launches_per_hour * _mean(_shares(live, inside, i)) for i in range(len(live))]
        found = [
            1.0 if room is None else 1 - all_taken(came * demand.session_h, room)
            for came, room in zip(offered, places, strict=True)
        ]
        moved = max(abs(new - old) for new, old in zip(found, inside, strict=True))
        inside = [(new + old) / 2 for new, old in zip(found, inside, strict=True)]  # else it swings
        if moved < CLOSE:
            break
    return inside, offered


def _shares(members: Sequence[Capacity], inside: Sequence[float], i: int) -> list[tuple[float, float]]:
    """The shares of member i while it is in rotation, each with its chance: over which others are in rotation then."""
    own = members[i].weight
    others = [(one.weight, inside[j]) for j, one in enumerate(members) if j != i]
    always = own + sum(weight for weight, part in others if part > 1 - SURE)
    totals = {always: 1.0}  # of the weights in rotation, each with its chance; equal totals are one
    for weight, part in others:
        if SURE < part <= 1 - SURE:
            grown: dict[float, float] = {}
            for total, chance in totals.items():
                grown[total] = grown.get(total, 0.0) + chance * (1 - part)
                grown[total + weight] = grown.get(total + weight, 0.0) + chance * part
            totals = {total: chance for total, chance in grown.items() if chance > NEGLIGIBLE}
    return [(chance, own / total) for total, chance in totals.items()]


def _mean(shares: Sequence[tuple[float, float]]) -> float:
    return math.fsum(chance * share for chance, share in shares)
