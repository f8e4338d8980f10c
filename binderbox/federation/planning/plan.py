"""A federation that is not there yet: what each member would carry, and what visitors would see. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from binderbox.federation.redirector.model import (
    Capacity,
    Demand,
    Outlook,
    first_error_rate,
    first_leave_rate,
    outlook,
)
from binderbox.federation.redirector.weights import fitting_weights

CURVE_POINTS = 60
CURVE_TO = 1.25  # of all places


@dataclass(frozen=True)
class Scenario:
    """One federation under a load of sessions at once; the last two in sessions at once, infinite for never.

    `first_out`: from there on some member is out of rotation for a hundredth of the time; `first_errors`: from there on
    one launch in a thousand fails.
    """

    name: str
    members: tuple[Capacity, ...]
    outlook: Outlook
    first_out: float
    first_errors: float


@dataclass(frozen=True)
class Curve:
    """The part of launches that fail, 0 to 1, by sessions at once."""

    name: str
    sessions: tuple[float, ...]
    errors: tuple[float, ...]


@dataclass(frozen=True)
class FederationPlan:
    """The federations that are compared, today's first where it was asked; `load` is sessions at once."""

    load: float
    session_h: float
    headroom: int
    scenarios: tuple[Scenario, ...]


def make_plan(
    today: Sequence[Capacity],
    quotas: Mapping[str, int],
    weights: Mapping[str, int],
    load: float,
    session_h: float,
    headroom: int = 10,
) -> FederationPlan:
    """Today's members, and with them those of `quotas`, which also replace quotas of today.

    + weights: of members by name; those of `quotas` that have none get one by which all are equally far from their last
      place, and others keep theirs
    + session_h: the mean length of a session in hours; only how late news costs depends on it
    Raises ValueError when no weights fit.
    """
    changed = [replace(one, quota=quotas.get(one.name, one.quota)) for one in today]
    there = {one.name for one in today}
    changed += [Capacity(name, 0, quota) for name, quota in quotas.items() if name not in there]
    planned = _weighed(changed, quotas, weights, load, headroom)
    compared = {"today": tuple(today)} if today else {}
    compared["planned"] = tuple(planned)
    scenarios = tuple(
        _scenario(name, members, load, session_h, headroom) for name, members in compared.items()
    )
    return FederationPlan(load, session_h, headroom, scenarios)


def _weighed(
    members: Sequence[Capacity],
    quotas: Mapping[str, int],
    weights: Mapping[str, int],
    load: float,
    headroom: int,
) -> list[Capacity]:
    fixed = [replace(one, weight=weights.get(one.name, one.weight)) for one in members]
    free = [one.name for one in fixed if one.name in quotas and one.name not in weights and not one.weight]
    if not free:
        return fixed
    fitting = fitting_weights([one for one in fixed if one.weight or one.name in free], load, headroom)
    kept = [one for one in fixed if one.weight]
    # the newcomers' part of the whole as it fits, in the scale of those that keep their weights
    scale = sum(one.weight for one in kept) / sum(fitting[one.name] for one in kept) if kept else 1.0
    return [
        replace(one, weight=max(1, round(fitting[one.name] * scale))) if one.name in free else one
        for one in fixed
    ]


def _scenario(
    name: str, members: tuple[Capacity, ...], load: float, session_h: float, headroom: int
) -> Scenario:
    return Scenario(
        name,
        members,
        outlook(members, Demand(load / session_h, session_h), headroom),
        first_leave_rate(members, session_h, headroom) * session_h,
        first_error_rate(members, session_h, headroom) * session_h,
    )


def make_curves(plan: FederationPlan) -> tuple[Curve, ...]:
    """A curve for each federation of the plan, to beyond its load and all places; only a plot needs them."""
    places = max(sum(one.quota or 0 for one in scenario.members) for scenario in plan.scenarios)
    most = max(places, plan.load) * CURVE_TO
    sessions = tuple(most * (i + 1) / CURVE_POINTS for i in range(CURVE_POINTS))
    return tuple(
        Curve(one.name, sessions, tuple(_errors(plan, one, at) for at in sessions)) for one in plan.scenarios
    )


def _errors(plan: FederationPlan, scenario: Scenario, sessions: float) -> float:
    demand = Demand(sessions / plan.session_h, plan.session_h)
    return outlook(scenario.members, demand, plan.headroom).errors_per_launch
