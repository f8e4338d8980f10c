"""The abuse check's job: once a day, whether strangers' code can reach from this node what it must not.

A launch of our own, whose build tries it, and whose server then does. What is found is kept for `status` and a check.
Under the node's lock, so that it never meets an install or a change of the follower.
"""

from __future__ import annotations

import json

from binderbox import layout
from binderbox.launch.reach import BANNED_TARGET, Seen, faults
from binderbox.parts.agent.jobs import files, launching, telling
from binderbox.parts.agent.jobs.config import AgentConfig
from binderbox.parts.agent.jobs.launching import TROUBLE
from binderbox.parts.agent.jobs.locking import Busy, hold
from binderbox.parts.agent.jobs.running import kubectl
from binderbox.parts.guard.seen import kills

JOB = "abuse"
HOME = "/home/jovyan"
PROBE_S = 120
WAIT_S = 600  # for whoever works on the node


def run(config: AgentConfig) -> list[str]:
    """Try it, and tell; returns what is wrong. A launch that fails is the watch's to look at."""
    if files.read(layout.DRAIN_FILE) is not None:
        telling.say("waits", why="the member is drained")
        return []
    guard = json.loads(files.read(layout.GUARD_STATE) or "null")
    forbidden = {**config.forbidden, **(BANNED_TARGET if kills(guard) else {})}
    targets = {**forbidden, **config.allowed}
    try:
        with hold(telling.WHO[JOB], WAIT_S) as tell:
            tell("trying what abusers try")
            seen = _seen(config, targets)
    except Busy as error:
        telling.say("waits", why=str(error))
        return []
    except TROUBLE as error:
        _tell([], 0, 2 * len(targets), str(error)[:500])
        return []
    found = [
        f"{where}: {wrong}"
        for where, by_build, answers in seen
        for wrong in faults(answers, forbidden, config.allowed, by_build)
    ]
    _tell(found, 2 * len(targets) - len(found), 2 * len(targets))
    return found


def _seen(config: AgentConfig, targets: dict[str, str]) -> list[tuple[str, bool, Seen]]:
    with launching.launched(config, targets) as server:
        place = ("--namespace", layout.HUB_NAMESPACE)
        asked = ("get", "pods", *place, "--selector=component=singleuser-server", "-o", "json")
        pods = json.loads(kubectl(*asked))["items"]
        name = next(
            (
                one["metadata"]["name"]
                for one in pods
                if one["spec"]["containers"][0]["image"] == server.image
            ),
            None,
        )
        if name is None:
            raise ValueError(f"no server runs {server.image}")

        def inside(*words: str) -> Seen:
            said = kubectl("exec", *place, name, "--container=notebook", "--", *words, timeout_s=PROBE_S)
            found: Seen = json.loads(said)
            return found

        by_build = inside("cat", f"{HOME}/seen-by-build.json")
        by_server = inside("python3", f"{HOME}/probe.py", f"{HOME}/targets.json")
    return [("notebook", False, by_server), ("build", True, by_build)]


def _tell(faults: list[str], good: int, of: int, why: str = "") -> None:
    telling.state(layout.ABUSE_STATE, {"good": good, "of": of, "faults": faults, "why": why})
    if faults:
        telling.audit(JOB, "alert", why="; ".join(faults)[:500])
    telling.say("tried", good=f"{good} of {of}", why=why or "; ".join(faults))
