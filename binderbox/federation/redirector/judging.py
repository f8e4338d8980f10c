"""Whether a member gets launches, by what it answered.

Source of every rule: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py; recorded answers of that
program are in tests/federation/recorded.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox.federation.redirector.balance import primes
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig

VERSIONS = "versions"  # the redirector's own words in `federation_health{reason}`
UNKNOWN = "unknown"
QUOTA = "Pod quota"  # BinderHub's name of the check that has numbers
WEIGHT = "weight"  # ours: dropped before any check


@dataclass(frozen=True)
class Answer:
    """What one address answered: HTTP `status` and parsed JSON. Status 0 is no answer, and `error` says why.

    `error` is also set when an answer was no JSON.
    """

    status: int
    body: Any = None
    error: str = ""

    @property
    def usable(self) -> bool:
        return 200 <= self.status < 300 and not self.error


@dataclass(frozen=True)
class MemberSeen:
    """The two answers of one member that the redirector looks at."""

    name: str
    versions: Answer
    health: Answer


@dataclass(frozen=True)
class Standing:
    """Whether a member gets launches. `reason` is "" or the word of the redirector's metric; `detail` says more.

    Words: `versions`, the name of the check that is not ok, `unknown` for no usable answer; and `weight`, which the
    redirector never says because it forgets a member of weight 0 at once.
    """

    name: str
    active: bool
    reason: str = ""
    detail: str = ""


def judge_members(config: RedirectorConfig, seen: Mapping[str, MemberSeen]) -> tuple[Standing, ...]:
    """The standing of every member in the file's order, after a look at each; the primes set the reference first."""
    reference = reference_versions(config, seen)
    return tuple(judge_member(one, seen.get(one.name), reference, config) for one in config.hosts)


def reference_versions(config: RedirectorConfig, seen: Mapping[str, MemberSeen], before: Any = None) -> Any:
    """The versions that all must have: those of the prime, of the last one if there are more, even of an unhealthy one.

    `before` is what was known before this look and stays when no prime answers; None is "not known yet".
    """
    for one in primes(config):
        if one.name in seen and seen[one.name].versions.usable:
            before = seen[one.name].versions.body
    return before


def judge_member(
    entry: HostEntry, seen: MemberSeen | None, reference: Any, config: RedirectorConfig
) -> Standing:
    """One look at one member: versions first, then health. `reference` as `reference_versions` gives it."""
    if not entry.weight > 0:
        return Standing(entry.name, False, WEIGHT, "weight 0: the redirector leaves it out")
    if seen is None:
        return Standing(entry.name, False, UNKNOWN, "it was not asked")
    reason, detail = judge_versions(seen.versions, None if entry.prime else reference)
    if not reason:
        reason, detail = judge_health(seen.health, config.pod_headroom)
    return Standing(entry.name, not reason, reason, detail)


def judge_versions(answer: Answer, reference: Any) -> tuple[str, str]:
    """Reason and detail, both "" when well: the whole JSON value must equal the reference, order of keys aside.

    Without a reference any versions pass (recorded, prime-refused-versions-unknown).
    """
    if not answer.usable:
        return UNKNOWN, _no_answer("/versions", answer)
    if reference is None or answer.body == reference:
        return "", ""
    return VERSIONS, f"/versions is {answer.body!r}, the prime's {reference!r}"


def judge_health(answer: Answer, headroom: int) -> tuple[str, str]:
    """Reason and detail, both "" when well: the first check that is not ok, or too few free places.

    With a headroom the check of the pods ends the list: entries after it count only if they cannot be read.
    """
    if not answer.usable:
        return UNKNOWN, _no_answer("/health", answer)
    try:
        for check in answer.body["checks"]:
            str(check["service"]), int(check["ok"])
        for check in answer.body["checks"]:
            if not check["ok"]:
                return str(check["service"]) or UNKNOWN, f"its check {check['service']} is not ok: {check!r}"
            if check["service"] == QUOTA and check["quota"] is not None and headroom:
                if check["total_pods"] + headroom >= check["quota"]:
                    return QUOTA, f"{check['total_pods']} of {check['quota']} pods, {headroom} must stay free"
                break
    except (KeyError, TypeError, ValueError, IndexError, AttributeError, OverflowError) as fault:
        return UNKNOWN, f"/health is not of the form the redirector reads: {type(fault).__name__} {fault}"
    return "", ""


def judge_round(standings: Sequence[Standing]) -> Standing:
    """What one check of the redirector makes of its looks, `check.retries` of them at most.

    A named failure ends it at once. An unknown one counts only at the last look - but there it does, even when all
    before were well, because the redirector goes on looking after a good answer.
    Raises ValueError for no looks at all.
    """
    if not standings:
        raise ValueError("a check needs at least one look")
    named = next((one for one in standings if not one.active and one.reason != UNKNOWN), None)
    return named or standings[-1]


def free_places(health: Any, headroom: int) -> int | None:
    """How many launches a member can take before it leaves rotation; None when it has no quota or tells none.

    `health` is the body of /health. 49 pods of 60 with headroom 10 is 1: with that one it is out.
    """
    try:
        check = next(one for one in health["checks"] if one["service"] == QUOTA)
        return (
            None if check["quota"] is None else max(0, int(check["quota"] - headroom - check["total_pods"]))
        )
    except (StopIteration, KeyError, TypeError, ValueError, OverflowError):
        return None


def _no_answer(path: str, answer: Answer) -> str:
    return f"{path}: {answer.error or f'status {answer.status}'}"
