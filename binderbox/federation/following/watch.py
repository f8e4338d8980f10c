"""Whether this member serves people, by its own last hour, and what to do when it does not. Pure; the agent travels with it.

KubeSpawner's watch of pods has stalled on mybinder.org three times: /health was green, every launch failed, and a restart
of the hub was the cure (incident reports 2017-09-29, 2018-02-12, 2018-07-08). And the redirector takes a member out for
one bad answer of /health, so one that changes to and fro is out for much of the time without ever being down.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from itertools import pairwise

from binderbox.federation.following.launches import Launches, parse_launches

HOUR_S = 3600
FLAPS = 3  # times that /health turned bad within the hour; a single one happens
SUSPECT = 3  # launches in a row that failed: enough for one of our own, which decides
FOR_PEOPLE = ("moved", "stalled", "flapping")  # verdicts that somebody must look at
CURES = ("hub", "binder")  # deployments, in the order in which they are restarted
REST_S = 6 * 3600  # what a restart did not cure, another one soon after does not cure either
ASK_AGAIN_S = 600  # between launches of our own while launches fail
PROCESSES = 4  # of BinderHub, whose counts are remembered: during a change two answer in turns
STARTED = re.compile(r"^process_start_time_seconds ([0-9.e+]+)$", re.M)


@dataclass(frozen=True)
class Look:
    """One look: `fault` is why /health is not well, else ""; `process` when BinderHub's process began, "" if unknown."""

    at_s: float
    fault: str
    process: str = ""
    launches: Launches = field(default_factory=lambda: Launches(0, 0))


@dataclass(frozen=True)
class Record:
    """What is remembered from look to look.

    + health: (seconds, well) of the last hour; counted: launches by process, oldest first
    + failed: launches in a row that failed, none that worked among them
    + restarted: deployment to seconds; asked_s: when our own launch was last tried; stalled: why it failed, else ""
    """

    health: tuple[tuple[float, bool], ...] = ()
    counted: tuple[tuple[str, int, int], ...] = ()
    failed: int = 0
    restarted: Mapping[str, float] = field(default_factory=dict)
    asked_s: float = 0.0
    stalled: str = ""


def make_look(at_s: float, fault: str, metrics: str) -> Look:
    """`metrics` is the text of /metrics, "" when there was no answer."""
    started = STARTED.search(metrics)
    return Look(at_s, fault, started[1] if started else "", parse_launches(metrics) or Launches(0, 0))


def noted(record: Record, look: Look) -> Record:
    """The record with one more look in it. Launches that were counted before the first look are nobody's news."""
    health = [one for one in record.health if look.at_s - HOUR_S < one[0] <= look.at_s]
    record = replace(record, health=(*health, (look.at_s, not look.fault)))
    if not look.process:
        return record
    before = {process: Launches(success, failure) for process, success, failure in record.counted}
    then = before.pop(look.process, Launches(0, 0) if before else look.launches)
    kept = [(process, of.success, of.failure) for process, of in before.items()][1 - PROCESSES :]
    record = replace(record, counted=(*kept, (look.process, look.launches.success, look.launches.failure)))
    if look.launches.success > then.success:
        return works(record)
    return replace(record, failed=record.failed + max(0, look.launches.failure - then.failure))


def works(record: Record) -> Record:
    """A launch worked, a visitor's or our own."""
    return replace(record, failed=0, stalled="")


def to_be_asked(record: Record, now_s: float) -> bool:
    """Whether a launch of our own shall tell if it is the member that fails, or only what people launch."""
    return record.failed >= SUSPECT and not record.asked_s <= now_s < record.asked_s + ASK_AGAIN_S


def cures(record: Record, now_s: float) -> tuple[str, ...]:
    """Deployments to restart, one after the other until a launch works."""
    return tuple(
        name for name in CURES if not 0 <= now_s - record.restarted.get(name, now_s - REST_S) < REST_S
    )


def flaps(record: Record) -> int:
    """How often /health turned from well to not well within the hour."""
    return sum(well and not later for (_, well), (_, later) in pairwise(record.health))


def judge(record: Record, fault: str, moved: str = "") -> tuple[str, str]:
    """(verdict, why), the first that holds: one of FOR_PEOPLE, unwell, suspect or well. `moved` is what of the host's surroundings has changed, or ""."""
    if moved:
        return "moved", f"{moved}: run `binderbox install` again, it takes over what has changed"
    if record.stalled:
        return (
            "stalled",
            f"launches fail, and restarts of {' and '.join(CURES)} did not help: {record.stalled}",
        )
    if (times := flaps(record)) >= FLAPS:
        return "flapping", f"/health turned bad {times} times within an hour" + (
            f", now: {fault}" if fault else ""
        )
    if fault:
        return "unwell", fault
    if record.failed >= SUSPECT:
        return "suspect", f"the last {record.failed} launches failed"
    return "well", "launches and /health are well"


def render(record: Record) -> str:
    return json.dumps(asdict(record))


def parse(text: str | None) -> Record:
    """What `render` wrote; an empty record for anything else, because nothing in it is worth a failed job."""
    try:
        found = json.loads(text or "{}")
        return Record(
            tuple((float(at_s), bool(well)) for at_s, well in found["health"]),
            tuple(
                (str(process), int(success), int(failure)) for process, success, failure in found["counted"]
            ),
            int(found["failed"]),
            {str(name): float(at_s) for name, at_s in found["restarted"].items()},
            float(found["asked_s"]),
            str(found["stalled"]),
        )
    except (ValueError, TypeError, KeyError, AttributeError):
        return Record()
