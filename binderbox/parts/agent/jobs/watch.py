"""The watch's job: look, remember, and when launches fail one after the other, find out whether the member is why.

Only a launch of our own, tried twice, is taken for proof; then the hub is restarted, then BinderHub, and each is told.
Sessions go on meanwhile. Under the node's lock, so that it never meets an install or a change of the follower.
"""

from __future__ import annotations

import time
from dataclasses import replace

from binderbox import layout
from binderbox.errors import NoAnswer
from binderbox.federation.following import watch
from binderbox.federation.following.follow import too_full
from binderbox.federation.following.watch import Look, Record
from binderbox.parts.agent.jobs import files, launching, ordering, quiet, surroundings, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE, member_of
from binderbox.parts.agent.jobs.locking import Busy, hold
from binderbox.parts.agent.jobs.running import CommandFailed, kubectl
from binderbox.parts.agent.jobs.web import Member

JOB = "watch"
TRIES = 2
ROLLOUT_S = 300
HEALTHY_S = 180  # for the hub to be found again by BinderHub
POLL_S = 2.0


def run(config: AgentConfig) -> str:
    """One look, and what follows from it; returns the verdict."""
    ordering.look(config)
    if files.read(layout.DRAIN_FILE) is not None:  # /health is red on purpose
        telling.state(layout.WATCH_STATE, {"verdict": "drained", "why": "the member is drained"})
        return "drained"
    record, look = watch.parse(files.read(layout.WATCH_RECORD)), look_at(config)
    record = watch.noted(record, look)
    if watch.to_be_asked(record, look.at_s):
        if why := _excuse():
            telling.say("waits", why=why)
        else:
            record = _heal(config, record)
            look = replace(look, fault=_fault(member_of(config)))
    _keep(record)
    return _tell(record, look, surroundings.moved(config))


def look_at(config: AgentConfig) -> Look:
    """What /health and /metrics say through the public address."""
    member = member_of(config)
    try:
        metrics = member.request("GET", f"{member.binder_url}/metrics").decode(errors="replace")
    except NoAnswer:
        metrics = ""
    return watch.make_look(time.time(), _fault(member), metrics)


def _heal(config: AgentConfig, record: Record) -> Record:
    """Try a launch; while it fails, restart what may be why. The record goes to disk before each restart."""
    try:
        with hold(telling.WHO[JOB], 0) as tell:
            tell("launching, because launches of others failed")
            record = replace(record, asked_s=time.time())
            _keep(record)
            if not (why := _launch_fails(config)):
                telling.say("launches", why="others failed, our own works")
                return watch.works(record)
            for name in watch.cures(record, time.time()):
                record = replace(record, restarted={**record.restarted, name: time.time()})
                _keep(record)
                telling.audit(JOB, "start", deployment=name, why=why[:500])
                tell(f"restarting {name}: {why[:200]}")
                why = _restart(name, config) or _launch_fails(config)
                telling.audit(JOB, "end", deployment=name, exit="4" if why else "0", why=why[:500])
                if not why:
                    return watch.works(record)
            return replace(record, stalled=why[:500])
    except Busy as error:
        telling.say("waits", why=str(error))
        return record


def _launch_fails(config: AgentConfig) -> str:
    """Why our own launches fail, or "" as soon as one works."""
    why = ""
    for _ in range(TRIES):
        try:
            launching.prove(config)
        except TROUBLE as error:
            why = str(error)
        else:
            return ""
    return why


def _restart(name: str, config: AgentConfig) -> str:
    """Why the restart itself failed, or ""."""
    place = ("--namespace", layout.HUB_NAMESPACE)
    try:
        kubectl("rollout", "restart", f"deployment/{name}", *place)
        words = ("rollout", "status", f"deployment/{name}", *place, f"--timeout={ROLLOUT_S}s")
        kubectl(*words, timeout_s=ROLLOUT_S + 60)
    except CommandFailed as error:
        return str(error)
    deadline = time.monotonic() + HEALTHY_S
    while (fault := _fault(member_of(config))) and time.monotonic() < deadline:
        time.sleep(POLL_S)
    return fault


def _excuse() -> str:
    """Why launches may fail without anything being wrong here, or ""."""
    if files.read(layout.FOLLOW_SWITCH) is not None:
        return "the follower has a change under way"
    try:
        pods, quota = quiet.places()
    except TROUBLE as error:
        return str(error)
    return ", ".join(too_full(pods, quota, share=1.0))  # BinderHub would refuse our own launch


def _fault(member: Member) -> str:
    try:
        member.request("GET", f"{member.binder_url}/health")
    except NoAnswer as error:
        return str(error)
    return ""


def _keep(record: Record) -> None:
    files.write(layout.WATCH_RECORD, watch.render(record))


def _tell(record: Record, look: Look, moved: str) -> str:
    """For `status` and the journal; a verdict that is for people to look at goes to the audit log once."""
    verdict, why = watch.judge(record, look.fault, moved)
    earlier = files.kept(layout.WATCH_STATE).get("verdict")
    if verdict != earlier:
        if verdict in watch.FOR_PEOPLE:
            telling.audit(JOB, "alert", verdict=verdict, why=why)
        telling.say(verdict, why=why)
    telling.state(layout.WATCH_STATE, {"verdict": verdict, "why": why})
    return verdict
