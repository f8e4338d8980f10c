"""From which launches on a member's weight is judged. Pure.

BinderHub's counters know nothing of weights. So the numbers of the moment are noted twice: in the message of the commit
that sets a weight, and in the checkout when `ramp` first sees the redirector use it, since days may lie between.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from dataclasses import asdict, dataclass

from binderbox.federation.following.launches import Launches

LINE = re.compile(r"^Launches-before: (\d+) worked, (\d+) failed$", re.M)
NONE = Launches(0, 0)


@dataclass(frozen=True)
class Past:
    """One commit that changed the configuration: its message, and the member's weight in it, None where it was none."""

    message: str
    weight: float | None


@dataclass(frozen=True)
class Noted:
    """What a checkout remembers: the weight, whether the redirector was seen to use it, and the launches by then."""

    weight: float
    seen: bool
    success: int = 0
    failure: int = 0

    @property
    def launches(self) -> Launches:
        return Launches(self.success, self.failure)


def line_of(launches: Launches | None) -> str:
    """For the end of a commit's message; "" where the launches are not known."""
    return f"Launches-before: {launches.success} worked, {launches.failure} failed" if launches else ""


def told_by_commits(past: Iterable[Past], weight: float) -> Launches | None:
    """The launches when the weight was set, by the commits from the last one back; None: they do not tell.

    Before a member was one, launches were not the federation's: they count from none.
    """
    setter: Past | None = None
    for one in past:
        if one.weight != weight:
            if setter is None:
                return None
            return _in(setter.message) or (NONE if one.weight is None else None)
        setter = one
    return _in(setter.message) or NONE if setter else None


def remember(
    noted: Noted | None,
    weight: float,
    deployed: float | None,
    now: Launches | None,
    by_commits: Launches | None,
) -> Noted | None:
    """What the checkout shall remember after this look; the same where nothing is to be learned.

    + deployed: the weight that the redirector uses, None: not known
    """
    if deployed is None or now is None:
        return noted
    if deployed != weight:
        return Noted(weight, False)
    if noted is not None and noted.weight == weight and noted.seen:
        return noted
    pending = noted is not None and noted.weight == weight
    begun = now if pending or by_commits is None else by_commits
    return Noted(weight, True, begun.success, begun.failure)


def since(now: Launches, then: Launches) -> Launches:
    """Launches from then on; all there are where the counters have begun anew since."""
    if now.success < then.success or now.failure < then.failure:
        return now
    return Launches(now.success - then.success, now.failure - then.failure)


def render(noted: Noted) -> str:
    return json.dumps(asdict(noted))


def parse(text: str) -> Noted | None:
    """What `render` wrote; None for anything else."""
    try:
        return Noted(**json.loads(text))
    except (ValueError, TypeError):
        return None


def _in(message: str) -> Launches | None:
    found = LINE.findall(message)
    return Launches(int(found[-1][0]), int(found[-1][1])) if found else None
