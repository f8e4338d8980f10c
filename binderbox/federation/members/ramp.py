"""Which weight is due for a new member: the next step once the last one went well, or why not yet. Pure.

What went well is measured: the redirector's rules on what the member answers now, the launches that BinderHub counted
since its start, and whether the places it has would hold what the next share brings.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from itertools import pairwise

from binderbox.federation.following.launches import Launches
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.federation.redirector.rules import Standing, shares

LAUNCHES = 50  # with fewer, one bad repository more or less decides
SUCCESS = 0.95


@dataclass(frozen=True)
class Ramp:
    """`due` is the weight to set now, None with `why_not`; `done`: the last step is reached. `measured` is shown either way."""

    name: str
    weight: float
    steps: tuple[float, ...]
    due: float | None
    done: bool
    why_not: tuple[str, ...]
    measured: tuple[str, ...]


def parse_steps(text: str) -> tuple[float, ...]:
    """ "5,15,30,50" to weights. Raises ValueError for what is no rising row of whole numbers above 0."""
    parts = [part.strip() for part in text.split(",")]
    if not all(re.fullmatch(r"[0-9]{1,6}", part) for part in parts):
        raise ValueError(f"{text!r}: expected whole numbers with commas between, like 5,15,30,50")
    steps = tuple(float(part) for part in parts)
    if steps[0] <= 0 or any(later <= earlier for earlier, later in pairwise(steps)):
        raise ValueError(f"{text!r}: each step must be higher than the one before, and the first above 0")
    return steps


def decide(
    config: RedirectorConfig,
    name: str,
    steps: Sequence[float],
    *,
    standing: Standing,
    active: Collection[str],
    deployed: float | None,
    launches: Launches | None,
    pods: int | None,
    quota: int | None,
) -> Ramp:
    """The step that is due for a member of `config`.

    + standing: by the rules, its weight taken for above 0
    + active: who else gets launches now
    + deployed: the weight that the redirector uses, None when it is not known
    """
    entry = config.host(name)
    if entry is None:
        raise ValueError(f"{name} is no member")
    target = next((step for step in steps if step > entry.weight), None)
    measured = [f"weight {entry.weight:g}", _told(launches), _places(pods, quota, config.pod_headroom)]
    if target is None:
        return Ramp(name, entry.weight, tuple(steps), None, True, (), tuple(measured))
    why = (
        []
        if standing.active
        else [f"the redirector would not send it launches: {standing.reason}, {standing.detail}"]
    )
    if deployed is not None and deployed != entry.weight:
        why.append(f"the redirector still uses weight {deployed:g}: the last change is not deployed")
    if entry.weight > 0:
        why += _unproved(launches)
    why += _too_small(config, name, target, active, pods, quota)
    return Ramp(name, entry.weight, tuple(steps), None if why else target, False, tuple(why), tuple(measured))


def _unproved(launches: Launches | None) -> list[str]:
    if launches is None:
        return ["its /metrics tell nothing of launches"]
    total = launches.success + launches.failure
    if total < LAUNCHES:
        return [f"{total} launches since BinderHub started there, {LAUNCHES} are needed to judge"]
    if launches.share < SUCCESS:
        return [f"{launches.share:.1%} of {total} launches worked, {SUCCESS:.0%} are needed"]
    return []


def _too_small(
    config: RedirectorConfig,
    name: str,
    target: float,
    active: Collection[str],
    pods: int | None,
    quota: int | None,
) -> list[str]:
    """Whether the pods of today, grown as its share grows, would still leave it in rotation."""
    if pods is None:
        return ["its /health tells no pods"]
    if quota is None:
        return []
    raised = config.with_weight(name, target)
    both = {*active, name}
    now, then = shares(config, both).get(name, 0.0), shares(raised, both).get(name, 0.0)
    expected = pods * then / now if now else 0.0
    if max(pods, expected) + config.pod_headroom < quota:
        return []
    return [
        f"{pods} of {quota} pods now, about {expected:.0f} with weight {target:g}:"
        f" with {config.pod_headroom} kept free it would leave rotation; raise its quota first"
    ]


def _told(launches: Launches | None) -> str:
    if launches is None:
        return "launches not known"
    return f"{launches.success} launches worked, {launches.failure} failed, since BinderHub started"


def _places(pods: int | None, quota: int | None, headroom: int) -> str:
    if pods is None:
        return "places not known"
    return f"{pods} pods, no quota" if quota is None else f"{pods} of {quota} pods, {headroom} kept free"
