"""The change itself: made, proved and recorded, or taken back and told. Killed anywhere, the next run continues.

What is under way stands in `switch.json` from before the first change until its end is recorded: both sides whole, so
that a run which finds it goes on to the new side, and back if the proof fails. The hub's database is copied before,
because a newer hub changes it and an older one cannot read it then.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import Any

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.federation.following import follow
from binderbox.federation.following.follow import Decision
from binderbox.federation.following.followed import Failed, Followed
from binderbox.parts.agent.jobs import database, files, launching, releasing, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE, member_of
from binderbox.parts.agent.jobs.locking import hold
from binderbox.parts.agent.jobs.releasing import Side

JOB = "follow"
LOCK_WAIT_S = 300
IN_A_ROW = 10  # answers: while the replaced pod still gets requests too, a launch could prove that one
SETTLE_S = 60  # how long /versions may still be the replaced pod's after the other one is ready


@dataclass(frozen=True)
class Switch:
    """A change under way: both sides, the pins to record, and what /versions must be then."""

    before: Side
    after: Side
    pins: Followed
    prime: Any


def switch(config: AgentConfig, change: Switch) -> Decision:
    """Make the change, prove it and record it; else go back. Under the node's lock."""
    with hold(telling.WHO[JOB], LOCK_WAIT_S) as tell:
        if under_way() is None:  # else the copy is of the hub from before
            database.keep(config.hub_database)
            _keep_switch(change)
        telling.audit(JOB, "start", chart=change.pins.chart, commit=change.pins.commit)
        try:
            tell(f"BinderHub to chart {change.pins.chart}")
            releasing.bring(change.after)
            tell("waiting for BinderHub's pods")
            releasing.wait_rolled_out("deployments", layout.HUB_NAMESPACE)
            tell("proving it with a launch")
            _prove(config, change.prime)
        except TROUBLE as error:
            return _go_back(config, change, str(error), tell)
        telling.keep(replace(telling.record(), followed=change.pins))
        files.remove(layout.FOLLOW_SWITCH)
        database.forget()
        telling.audit(JOB, "end", chart=change.pins.chart, commit=change.pins.commit, exit="0")
        return Decision("nothing", "equal", f"followed to {follow.told(change.prime)}")


def under_way() -> Switch | None:
    """The change that an earlier run began and did not end."""
    text = files.read(layout.FOLLOW_SWITCH)
    if text is None:
        return None
    found = json.loads(text)
    sides = [releasing.parse_side(found[name]) for name in ("before", "after")]
    return Switch(sides[0], sides[1], Followed(**found["pins"]), found["prime"])


def _go_back(config: AgentConfig, change: Switch, why: str, tell: Any) -> Decision:
    """Bring the old side back, remember what failed, and tell. If even that fails the next run tries it again."""
    tell(f"going back: {why[:200]}")
    database.end_hub()  # one that ends again and again may still change the database between
    if database.migrated(config.hub_database):
        tell("putting the hub's database back")
        database.end_sessions_since()
        database.put_back(config.hub_database)
    releasing.bring(change.before)
    database.start_hub()
    record = telling.record()
    failed = Failed(change.pins.commit, change.pins.chart, change.pins.build_image, telling.now(), why[:500])
    telling.keep(replace(record, failed=(*record.failed, failed)))
    files.remove(layout.FOLLOW_SWITCH)
    database.forget()
    telling.audit(JOB, "end", chart=change.pins.chart, commit=change.pins.commit, exit="4", why=why[:500])
    releasing.wait_rolled_out("deployments", layout.HUB_NAMESPACE)
    with suppress(NoAnswer, ValueError):  # it is back, and what asks next sees so
        _settle(config, lambda own: own != change.prime)
    return Decision("alert", "rolled-back", f"went back, chart {change.pins.chart} failed its proof: {why}")


def _prove(config: AgentConfig, prime: Any) -> None:
    _settle(config, lambda own: own == prime)
    launching.prove(config)


def _settle(config: AgentConfig, holds: Callable[[Any], bool]) -> None:
    """Ask for /versions until the answers are as they shall be, some in a row. Raises ValueError after SETTLE_S, NoAnswer."""
    member, deadline, in_a_row = member_of(config), time.monotonic() + SETTLE_S, 0
    while True:
        own = launching.versions(member)
        in_a_row = in_a_row + 1 if holds(own) else 0
        if in_a_row == IN_A_ROW:
            return
        if time.monotonic() > deadline:
            raise ValueError(f"after {SETTLE_S} s /versions still says {follow.told(own)}")
        time.sleep(0.5)


def _keep_switch(change: Switch) -> None:
    sides = {name: releasing.render_side(getattr(change, name)) for name in ("before", "after")}
    found = {**sides, "pins": asdict(change.pins), "prime": change.prime}
    files.write(layout.FOLLOW_SWITCH, json.dumps(found), 0o600)
