"""What `federation follow` does: ask the node's follower, hold or release it, or let it run now.

The node decides and acts (binderbox.parts.agent.jobs); from here it is only asked. So a laptop needs no checkout, and sees what
the timer would do.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binderbox import layout
from binderbox.commands.connect import changing, opened
from binderbox.decide.facts import make_facts
from binderbox.errors import StepFailed, UsageError
from binderbox.federation.following.follow import STUCK
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection
from binderbox.parts.agent.units import FOLLOW
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host

LOOK_S = 60
RUN_S = 3 * 3600
LOOK = ["env", *layout.AGENT_PYTHON, "/usr/bin/python3", "-m", "binderbox.parts.agent.jobs", "look"]
UNWELL = (*STUCK, "unreachable")


@dataclass(frozen=True)
class FollowRequest:
    """`hold`: why the node is to stay as it is (may be empty), None for no change of that; `now`: run the job."""

    connection: Connection
    now: bool = False
    again: bool = False
    hold: str | None = None
    release: bool = False


def follow_host(request: FollowRequest, progress: Progress) -> dict[str, Any]:
    """What the prime runs, what the node runs, and what makes them equal; raises StepFailed, UsageError."""
    with opened(request.connection) as host:
        if make_facts(gather(host)).applied is None:
            raise UsageError(
                f"{host.name}: nothing is installed there", remedy=f"binderbox install {host.name}"
            )
        if request.release or request.hold is not None:
            with changing(host, f"federation follow --{'release' if request.release else 'hold'}", progress):
                _hold(host, None if request.release else request.hold)
        if request.now:
            _run(host, request.again, progress)
        return make_answer(host.name, _look(host), ran=request.now)


def make_answer(host: str, found: Mapping[str, Any], *, ran: bool = False) -> dict[str, Any]:
    """The command's result from what the node's follower said."""
    seen, last = found["seen"], found.get("last") or {}
    decision = found["decision"]
    # what came of a run says more than what a mere look sees, as long as the prime still says the same
    tried = last.get("verdict") in STUCK and last.get("prime") == seen["prime"]
    if (ran and last.get("verdict")) or (decision["verdict"] == "following" and tried):
        decision = last
    return {
        "host": host,
        "verdict": decision["verdict"],
        "why": decision["why"],
        "members": [_side("prime", seen["prime"]), _side(host, seen["own"])],
        "diff": make_diff(seen["own"], seen["prime"]),
        "held": seen["held"],
        "followed": found.get("followed"),
        "failed": found.get("failed") or [],
        "drift": last.get("drift") or [],
        "last_run": last.get("at", ""),
        "guard": _guard(found.get("guard") or {}, last),
    }


def _guard(found: Mapping[str, Any], last: Mapping[str, Any]) -> dict[str, Any]:
    """What the follower last said of cryptnono; "" where it has not looked, or this node has none."""
    said = last.get("guard") or {}
    return {
        "verdict": said.get("verdict", ""),
        "why": said.get("why", ""),
        "followed": found.get("followed"),
        "failed": found.get("failed") or [],
    }


def make_diff(own: Any, prime: Any) -> list[str]:
    """`- key: own` and `+ key: prime` for every value of /versions that differs; nested keys with dots."""
    here, there = dict(_leaves(own)), dict(_leaves(prime))
    lines = []
    for key in sorted(here.keys() | there.keys()):
        if here.get(key) != there.get(key):
            lines += [f"- {key}: {here[key]}"] if key in here else []
            lines += [f"+ {key}: {there[key]}"] if key in there else []
    return lines


def render_follow(answer: Mapping[str, Any]) -> str:
    """One screen; the sentence that counts is the last."""
    blocks = []
    if answer["diff"]:
        blocks.append("\n".join(f"  {line}" for line in answer["diff"]))
    if pins := answer["followed"]:
        blocks.append(
            f"followed since {pins['proved_at']}: chart {pins['chart']}, {pins['build_image']} ({pins['commit'][:8]})"
        )
    blocks += [f"failed at {one['at']}: chart {one['chart']}: {one['why']}" for one in answer["failed"]]
    if answer["drift"]:
        head = "settings of the federation that have moved away from binderbox's:"
        blocks.append("\n".join([head, *(f"  {line}" for line in answer["drift"])]))
    if (guard := answer["guard"])["verdict"]:
        blocks.append(f"cryptnono: {guard['verdict']}: {guard['why']}")
    if answer["last_run"]:
        blocks.append(f"the follower ran last at {answer['last_run']}")
    blocks.append(f"{answer['host']}: {answer['verdict']}: {answer['why']}")
    return "\n\n".join(blocks)


def _side(name: str, versions: Any) -> dict[str, Any]:
    return {"name": name, "versions": versions}


def _leaves(tree: Any, path: str = "") -> list[tuple[str, str]]:
    if isinstance(tree, Mapping):
        inner = ((f"{path}.{key}" if path else str(key), value) for key, value in tree.items())
        return [leaf for key, value in inner for leaf in _leaves(value, key)]
    return [] if tree is None else [(path, str(tree))]


def _hold(host: Host, why: str | None) -> None:
    if why is None:
        host.run(["rm", "-f", layout.FOLLOW_HOLD], timeout_s=30)
    else:
        host.write(layout.FOLLOW_HOLD, f"{why.strip()}\n".encode(), 0o644)


def _run(host: Host, again: bool, progress: Progress) -> None:
    host.write(layout.FOLLOW_NOW, b"again\n" if again else b"now\n", 0o600)
    progress.note("the follower runs; a change takes some minutes")
    done = host.run(["systemctl", "start", FOLLOW.service], timeout_s=RUN_S)
    if done.code:
        tail = host.run(
            ["journalctl", "-u", FOLLOW.service, "-n", "15", "-o", "cat", "--no-pager"], timeout_s=30
        )
        raise StepFailed(
            f"{host.name}: the follower did not end well",
            cause=tail.stdout.decode(errors="replace").strip(),
            remedy=f"mend the cause, then: binderbox federation follow {host.name} --now",
        )


def _look(host: Host) -> Mapping[str, Any]:
    done = host.run(LOOK, timeout_s=LOOK_S)
    if done.code:
        raise StepFailed(
            f"{host.name}: its follower could not be asked",
            cause=done.stderr.decode(errors="replace").strip()[-600:],
            remedy=f"binderbox install {host.name}",
        )
    found: Mapping[str, Any] = json.loads(done.stdout)
    return found
