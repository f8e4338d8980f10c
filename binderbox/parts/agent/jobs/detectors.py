"""The follower's second half: cryptnono's chart as the federation's branch pins it. Look, prepare, switch, prove, or go back.

A change under way stands in a file with both sides whole, as BinderHub's does (switching.py); what proves it is what the
guard's job sees each minute: the detectors attach, and kill their canaries.
"""

from __future__ import annotations

import json
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from binderbox import layout
from binderbox.federation.following import guarding, powers
from binderbox.federation.following.follow import STUCK
from binderbox.federation.following.followed import FailedGuard, Guard
from binderbox.federation.following.guarding import DEPENDENCY
from binderbox.parts.agent.jobs import charts, deployrepo, files, guard, images, releasing, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE
from binderbox.parts.agent.jobs.locking import Busy, hold
from binderbox.parts.agent.jobs.releasing import Side
from binderbox.parts.guard import seen
from binderbox.parts.helm.release import VALUES_MODE, inputs_path

JOB = "follow"
EVERY_S = 6 * 3600  # its pin changed 31 times in three years: mybinder.org-deploy 95860dbc
LOCK_WAIT_S = 300
ATTACH_S = 600  # three compilers, on a slow machine
LOOK_AGAIN_S = 5


@dataclass(frozen=True)
class Change:
    """A change under way: both sides, and the pins to record."""

    before: Side
    after: Side
    pins: Guard


def run(config: AgentConfig, *, now: bool = False, again: bool = False) -> bool:
    """One run, where one is due, told in the follower's state; whether nobody has to do anything.

    + now: somebody asked for it: when it looked last does not count
    """
    earlier: dict[str, Any] = files.kept(layout.FOLLOW_STATE).get("guard", {})
    if not config.detectors or files.read(inputs_path(guard.RELEASE)) is None:
        return True
    try:
        if change := under_way():
            telling.say("continues", chart=change.pins.chart)
            verdict, why = switch(config, change)
        elif now or time.time() - earlier.get("looked_s", 0) >= EVERY_S:
            verdict, why = _follow(config, again)
        else:
            return earlier.get("verdict") not in STUCK
    except Busy as error:
        _tell({**earlier, "verdict": "busy", "why": str(error)})
        return True
    except TROUBLE as error:
        half = under_way() is not None
        verdict, why = (
            "failed" if half else "unmatched",
            f"{'half made' if half else 'nothing was changed'}: {error}",
        )
    if verdict in STUCK and why != earlier.get("why"):
        telling.audit(JOB, "alert", verdict=verdict, why=f"cryptnono: {why}"[:500])
    _tell({"verdict": verdict, "why": why, "looked_s": round(time.time())})
    return verdict not in STUCK


def _tell(found: dict[str, Any]) -> None:
    """Beside what the first half told just now, in one file: `status` reads it in one go."""
    telling.state(layout.FOLLOW_STATE, files.kept(layout.FOLLOW_STATE) | {"guard": found})
    telling.say(f"cryptnono-{found['verdict']}", why=found["why"])


def _follow(config: AgentConfig, again: bool) -> tuple[str, str]:
    commit = deployrepo.update(config.deploy_repo, config.branch)
    pins = guarding.read_pins(commit, deployrepo.chart_of(commit))
    if pins is None:
        return "equal", f"{config.branch} pins no {DEPENDENCY}"
    url, sha256 = charts.find(config.guard_index, config.guard_places, pins.chart, DEPENDENCY)
    before = releasing.installed(guard.RELEASE)
    if sha256 == before.inputs.chart_sha256:
        return "equal", f"chart {pins.chart}"
    if files.read(layout.FOLLOW_HOLD) is not None:
        return "held", f"the federation pins chart {pins.chart}"
    if why := guarding.refusal(pins, config.guard_rules):
        return "refused", f"not followed: {why}"
    if (why := guarding.failed_before(pins, telling.record())) and not again:
        return "failed", why
    after = replace(
        before,
        inputs=replace(
            before.inputs, chart=charts.bring(url, sha256, config.guard_places), chart_sha256=sha256
        ),
    )
    return _prepared(config, Change(before, after, Guard(pins.commit, pins.chart, url, sha256, "")))


def _prepared(config: AgentConfig, change: Change) -> tuple[str, str]:
    """Bring the images and make the change, unless the chart wants what this node's rules do not give."""
    objects = _objects(change.after)
    needed = charts.images_of(objects)
    if foreign := guarding.foreign(needed, config.guard_rules):
        return "refused", f"chart {change.pins.chart} runs images from elsewhere: {', '.join(foreign)}"
    if more := powers.added(_objects(change.before), objects, change.before.inputs.namespace):
        return "refused", f"chart {change.pins.chart} asks for more than the installed one: {'; '.join(more)}"
    digests = {image: images.pull(image) for image in needed}
    return switch(config, replace(change, pins=replace(change.pins, images=digests)))


def switch(config: AgentConfig, change: Change) -> tuple[str, str]:
    """Make the change, prove it and record it; else go back. Under the node's lock."""
    about = {"chart": f"{DEPENDENCY} {change.pins.chart}", "commit": change.pins.commit}
    with hold(telling.WHO[JOB], LOCK_WAIT_S) as tell:
        _keep(change)
        telling.audit(JOB, "start", **about)
        try:
            tell(f"cryptnono to chart {change.pins.chart}")
            releasing.bring(change.after)
            tell("waiting for cryptnono's detectors")
            _prove(config)
        except TROUBLE as error:
            tell(f"going back: {str(error)[:200]}")
            releasing.bring(change.before)
            record = telling.record()
            failed = FailedGuard(change.pins.commit, change.pins.chart, telling.now(), str(error)[:500])
            telling.keep(replace(record, guard_failed=(*record.guard_failed, failed)))
            files.remove(layout.FOLLOW_GUARD_SWITCH)
            telling.audit(JOB, "end", exit="4", why=str(error)[:500], **about)
            return "rolled-back", f"went back, chart {change.pins.chart} failed its proof: {error}"
        pins = replace(change.pins, proved_at=telling.now())
        telling.keep(replace(telling.record(), guard=pins))
        files.remove(layout.FOLLOW_GUARD_SWITCH)
        telling.audit(JOB, "end", exit="0", **about)
        return "equal", f"followed to chart {change.pins.chart}"


def _prove(config: AgentConfig) -> None:
    """Wait until every detector of the new pod is attached and killed its canary; raises ValueError with what is wrong."""
    releasing.wait_rolled_out("daemonsets", layout.NAMESPACE, guard.PODS)
    deadline = time.monotonic() + ATTACH_S
    while True:
        found = guard.looked(config)
        faults = seen.unproved(found)
        if not faults:
            return
        if time.monotonic() > deadline:
            raise ValueError("; ".join(faults))
        time.sleep(LOOK_AGAIN_S)


def _objects(side: Side) -> list[Any]:
    path = f"{layout.AGENT_DATA}/trial-guard.values.yaml"
    files.write(path, side.values, VALUES_MODE)
    return charts.render(side.inputs, path)


def under_way() -> Change | None:
    """The change that an earlier run began and did not end."""
    text = files.read(layout.FOLLOW_GUARD_SWITCH)
    if text is None:
        return None
    found = json.loads(text)
    before, after = (releasing.parse_side(found[name]) for name in ("before", "after"))
    return Change(before, after, Guard(**found["pins"]))


def _keep(change: Change) -> None:
    sides = {name: releasing.render_side(getattr(change, name)) for name in ("before", "after")}
    files.write(layout.FOLLOW_GUARD_SWITCH, json.dumps({**sides, "pins": asdict(change.pins)}), 0o600)
