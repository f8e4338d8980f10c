"""Whether a member could be the prime, by what it and the prime answered. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.federation.members.differences import differences
from binderbox.federation.members.observed import Observed
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.federation.redirector.rules import judge_member, primes
from binderbox.output.printable import printable


def uncompared(config: RedirectorConfig, name: str, observed: Mapping[str, Observed]) -> str:
    """Why its versions were compared with nobody's, in words; "" when they were."""
    others = [one.name for one in config.hosts if one.prime and one.name != name]
    if any(observed[one].versions.answer.usable for one in others):
        return ""
    silent = f"the prime {' and '.join(others)} does not answer" if others else "there is no other prime"
    return f"its versions were compared with nobody's: {silent}; see in the table who would be out"


def why_not(config: RedirectorConfig, name: str, observed: Mapping[str, Observed]) -> str:
    """Why it must not, in words; "" when it may.

    Where the prime of today does not answer its versions nothing is compared: that is when a new one is needed most.
    """
    weighed, seen = config.weighed, observed[name]
    entry = weighed.host(name)
    assert entry is not None
    standing = judge_member(entry, seen.seen, None, config)
    if not standing.active:
        return f"{standing.reason}: {printable(standing.detail)}"
    for one in primes(weighed):
        there = observed[one.name].versions
        if one.name != name and there.answer.usable and there.body != seen.versions.body:
            told = printable("; ".join(differences(seen.versions.body, there.body)))
            return f"its versions are not those of the prime {one.name}: {told}"
    return ""
