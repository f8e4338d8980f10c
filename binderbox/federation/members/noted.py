"""From which launches on a member's weight is judged. Pure.

BinderHub's counters know nothing of weights, and days may lie between a commit and its deployment. So the checkout
remembers the counters of the first look at which the redirector used a weight: docs/decisions/ramp-remembers.md.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from binderbox.federation.following.launches import Launches

SAME_START_S = 2.0  # what a start time may differ by between two answers of one process


@dataclass(frozen=True)
class Counted:
    """BinderHub's counters, and when its process began in seconds since 1970, None: it does not say."""

    launches: Launches
    started_s: float | None = None


@dataclass(frozen=True)
class Noted:
    """What a checkout remembers: the weight, whether the redirector was seen to use it, and the counters by then."""

    weight: float
    seen: bool
    success: int = 0
    failure: int = 0
    started_s: float | None = None

    @property
    def counted(self) -> Counted:
        return Counted(Launches(self.success, self.failure), self.started_s)


def is_first(weights: Iterable[float | None], weight: float) -> bool:
    """Whether the member came with this weight: its weights in the commits from the last one back, None where it was none.

    Before it was a member its launches were not the federation's, so that all there are count.
    """
    found = False
    for one in weights:
        if one != weight:
            return found and one is None
        found = True
    return found


def settled(noted: Noted | None, weight: float) -> bool:
    """Whether it is known already from which launches on this weight is judged."""
    return noted is not None and noted.weight == weight and noted.seen


def remember(
    noted: Noted | None, weight: float, deployed: float | None, now: Counted | None, *, first: bool
) -> Noted | None:
    """What the checkout shall remember after this look; the same where nothing is to be learned.

    + deployed: the weight that the redirector uses, None: not known
    + first: whether it is the weight with which the member came
    """
    if deployed is None or now is None:
        return noted
    if deployed != weight:
        return Noted(weight, False)
    if settled(noted, weight):
        return noted
    pending = noted is not None and noted.weight == weight
    if first and not pending:
        return Noted(weight, True, started_s=now.started_s)
    return Noted(weight, True, now.launches.success, now.launches.failure, now.started_s)


def since(now: Counted, then: Counted) -> Launches:
    """Launches from then on; all there are where another process counts since."""
    again = (
        now.started_s is not None
        and then.started_s is not None
        and abs(now.started_s - then.started_s) > SAME_START_S
    )
    new, old = now.launches, then.launches
    if again or new.success < old.success or new.failure < old.failure:
        return new
    return Launches(new.success - old.success, new.failure - old.failure)


def render(noted: Noted) -> str:
    return json.dumps(asdict(noted))


def parse(text: str) -> Noted | None:
    """What `render` wrote; None for anything else."""
    try:
        return Noted(**json.loads(text))
    except (ValueError, TypeError):
        return None
