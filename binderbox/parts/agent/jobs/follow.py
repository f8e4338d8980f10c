"""The follower's job: look, decide, prepare, switch, prove; or go back and tell. Killed anywhere, the next run continues.

Everything before the switch only adds to the node (a chart, images). The lock is taken for the switch alone; looking and
pulling hinder nobody.
"""

from __future__ import annotations

import json
import time
from typing import Any

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.federation.following import follow, powers
from binderbox.federation.following.drift import drift
from binderbox.federation.following.follow import Decision, Pins, Seen
from binderbox.federation.following.followed import Followed, Record
from binderbox.parts.agent.jobs import (
    charts,
    deployrepo,
    files,
    images,
    launching,
    quiet,
    releasing,
    switching,
    telling,
)
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE, member_of
from binderbox.parts.agent.jobs.locking import Busy
from binderbox.parts.agent.jobs.releasing import Side
from binderbox.parts.agent.jobs.switching import JOB, Switch
from binderbox.parts.agent.jobs.web import fetch_json
from binderbox.parts.helm.release import VALUES_MODE


class Refused(Exception):
    """The prime's chart wants what this node's rules do not give; the text says what."""


def look(config: AgentConfig, now: bool = False) -> Seen:
    """Both /versions, whether it is held, and the time."""
    prime, own, why = None, None, ""
    try:
        prime = fetch_json(f"{config.federation}/versions")
    except NoAnswer as error:
        why = str(error)
    try:
        own = launching.versions(member_of(config))
    except NoAnswer as error:
        telling.say("own-versions", why=str(error))
    held = files.read(layout.FOLLOW_HOLD)
    clock = time.gmtime()
    return Seen(
        prime, own, why, None if held is None else held.strip(), clock.tm_hour * 60 + clock.tm_min, now
    )


def find(
    config: AgentConfig, seen: Seen, record: Record, again: bool
) -> tuple[Decision, Pins | None, str, str]:
    """The pins that give the prime's /versions, with the chart's address and checksum; brings charts and images.

    Without a match nothing is chosen.
    """
    deployrepo.update(config.deploy_repo, config.branch)
    wanted, refused, tried = str(seen.prime["binderhub"]), "", []
    for pins in follow.candidates(deployrepo.history(), seen.prime):
        if why := follow.refusal(pins, config.rules):
            refused = why
            continue
        url, sha256 = charts.find(config.chart_index, config.chart_places, pins.chart)
        version = _version_of(config, charts.bring(url, sha256, config.chart_places), sha256, pins)
        tried.append(f"{pins.chart} is {version}")
        if version != wanted:
            continue
        if why := follow.failed_before(pins, record, again):
            return Decision("alert", "failed", why), None, "", ""
        return Decision("follow", "following", f"{pins.commit[:8]}: chart {pins.chart}"), pins, url, sha256
    if refused:
        return Decision("alert", "refused", f"not followed: {refused}"), None, "", ""
    why = f"no commit of {config.branch} pins what the prime runs ({follow.told(seen.prime)}); {'; '.join(tried) or 'none has its build image'}"
    return Decision("alert", "unmatched", why), None, "", ""


def prepare(config: AgentConfig, pins: Pins, url: str, sha256: str, prime: Any) -> Switch:
    """Everything that the change needs, on the node; nothing that runs is touched. Raises Refused."""
    before = releasing.installed()
    after = releasing.changed(
        before, charts.bring(url, sha256, config.chart_places), sha256, pins.build_image
    )
    objects = _objects(after)
    needed = [*charts.images_of(objects), pins.build_image]
    foreign = [image for image in needed if not follow.image_allowed(image, config.rules)]
    if foreign:
        raise Refused(f"chart {pins.chart} runs images from elsewhere: {', '.join(foreign)}")
    if more := powers.added(_objects(before), objects, before.inputs.namespace):
        raise Refused(f"chart {pins.chart} asks for more than the installed one: {'; '.join(more)}")
    digests = {image: images.pull(image) for image in needed}
    record = Followed(pins.commit, pins.chart, url, sha256, pins.build_image, telling.now(), digests)
    return Switch(before, after, record, prime)


def run(config: AgentConfig, *, now: bool = False, again: bool = False) -> Decision:
    """One run of the job, from looking to telling."""
    moved: tuple[str, ...] | None = None
    seen = Seen(None, None)
    try:
        if change := switching.under_way():
            telling.say("continues", chart=change.pins.chart)
            decision = switching.switch(config, change)
            seen = look(config, now)
        else:
            seen = look(config, now)
            decision = follow.decide(seen, config.rules)
            if decision.action == "follow":
                decision, pins, url, sha256 = find(config, seen, telling.record(), again)
                if pins:
                    moved = drift(deployrepo.values_of(pins.commit))
                    change = prepare(config, pins, url, sha256, seen.prime)
                    quiet.wait(telling.say)
                    decision = switching.switch(config, change)
                    seen = look(config, now)
    except Busy as error:
        decision = Decision("wait", "busy", str(error))
    except Refused as error:
        decision = Decision("alert", "refused", f"not followed: {error}")
    except TROUBLE as error:
        if files.read(layout.FOLLOW_SWITCH) is None:
            decision = Decision("alert", "unmatched", f"nothing was changed: {error}")
        else:  # not even going back worked
            decision = Decision(
                "alert", "failed", f"a change is half made, the next run goes on with it: {error}"
            )
    _tell(decision, seen, moved)
    return decision


def _version_of(config: AgentConfig, chart: str, sha256: str, pins: Pins) -> str:
    """What the chart's BinderHub calls itself: asked once, of its image, and remembered by the chart's checksum."""
    known = files.kept(layout.FOLLOW_VERSIONS)
    if sha256 not in known:
        side = releasing.changed(releasing.installed(), chart, sha256, pins.build_image)
        binder = [
            image for image, of in charts.images_of(_objects(side)).items() if "Deployment/binder" in of
        ]
        if len(binder) != 1 or not follow.image_allowed(binder[0], config.rules):
            raise ValueError(
                f"chart {pins.chart} runs BinderHub from {binder or 'no image'}, which is not allowed"
            )
        images.pull(binder[0])
        known[sha256] = images.version_in(binder[0])
        files.write(layout.FOLLOW_VERSIONS, json.dumps(known, indent=1))
    return str(known[sha256])


def _objects(side: Side) -> list[Any]:
    path = f"{layout.AGENT_DATA}/trial.values.yaml"
    files.write(path, side.values, VALUES_MODE)
    return charts.render(side.inputs, path)


def _tell(decision: Decision, seen: Seen, moved: tuple[str, ...] | None) -> None:
    earlier = files.kept(layout.FOLLOW_STATE)
    fields = {"verdict": decision.verdict, "why": decision.why, "prime": seen.prime, "own": seen.own}
    if decision.action == "alert" and earlier.get("why") != decision.why:
        telling.audit(JOB, "alert", verdict=decision.verdict, why=decision.why)
    told = earlier.get("drift", []) if moved is None else list(moved)
    telling.state(layout.FOLLOW_STATE, {**fields, "drift": told, "guard": earlier.get("guard", {})})
    telling.say(decision.verdict, why=decision.why)
