"""Which weight is due for a new member: the next step once the last one went well, or why not yet. Pure.

What went well is measured: the redirector's rules on what the member answers now, the launches that BinderHub counted
since the redirector uses this weight, and whether the places it has would hold what the next share brings. What is not
known is "not yet".
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from binderbox.federation.members.noted import Counted, since
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
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
    deployed: Mapping[str, float] | None,
    now: Counted | None,
    begun: Counted | None,
    pods: int | None,
    quota: int | None,
    reference: bool,
    elsewhere: str,
) -> Ramp:
    """The step that is due for a member of `config`.

    + standing: by the rules, its weight taken for above 0
    + active: who else gets launches now
    + deployed: the weights of the members that the redirector names, None when it names none
    + reference: whether the prime's versions are known, so that the member's could be compared
    + now: BinderHub's counters; begun: those when the redirector began to use this weight, None: not known
    + elsewhere: another address that the redirector has for this name, "" for the same
    """
    entry = config.host(name)
    if entry is None:
        raise ValueError(f"{name} is no member")
    target = next((step for step in steps if step > entry.weight), None)
    measured = [f"weight {entry.weight:g}", _told(now, begun), _places(pods, quota, config.pod_headroom)]
    if target is None:
        return Ramp(name, entry.weight, tuple(steps), None, True, (), tuple(measured))
    why = (
        []
        if standing.active
        else [f"the redirector would not send it launches: {standing.reason}, {standing.detail}"]
    )
    if not reference and not entry.prime:
        why.append("the prime's versions are not known, so that its own cannot be compared")
    if elsewhere:
        why.append(f"the redirector has {entry.name} at {elsewhere}, the repository at {entry.url}")
    why += _not_in_use(entry, deployed)
    if entry.weight > 0:
        why += _unproved(now, begun)
    why += _too_small(config, name, target, active, pods, quota)
    return Ramp(name, entry.weight, tuple(steps), None if why else target, False, tuple(why), tuple(measured))


def _not_in_use(entry: HostEntry, deployed: Mapping[str, float] | None) -> list[str]:
    if deployed is None:
        return [f"the redirector does not say whether it uses weight {entry.weight:g}"]
    used = deployed.get(entry.name)
    if used is None:
        # one of weight 0 is in no list, so that its ramp can begin
        return [f"the redirector has no member {entry.name} in rotation"] if entry.weight else []
    if used != entry.weight:
        return [f"the redirector still uses weight {used:g}: the last change is not deployed"]
    return []


def _unproved(now: Counted | None, begun: Counted | None) -> list[str]:
    if now is None:
        return ["its /metrics tell nothing of launches"]
    if begun is None:
        return ["how many launches there were when the redirector began to use this weight is not known"]
    counted = since(now, begun)
    total = counted.success + counted.failure
    if total < LAUNCHES:
        return [f"{total} launches with this weight, {LAUNCHES} are needed to judge"]
    if counted.share < SUCCESS:
        return [f"{counted.share:.1%} of {total} launches with this weight worked, {SUCCESS:.0%} are needed"]
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


def _told(now: Counted | None, begun: Counted | None) -> str:
    if now is None:
        return "launches not known"
    if begun is None:
        return (
            f"{now.launches.success} launches worked, {now.launches.failure} failed, since BinderHub started"
        )
    counted = since(now, begun)
    return f"{counted.success} launches worked, {counted.failure} failed, with this weight"


def _places(pods: int | None, quota: int | None, headroom: int) -> str:
    if pods is None:
        return "places not known"
    return f"{pods} pods, no quota" if quota is None else f"{pods} of {quota} pods, {headroom} kept free"
