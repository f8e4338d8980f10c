"""One screen of how a member is doing."""

from __future__ import annotations

import json
from typing import Any

from binderbox import layout
from binderbox.checks.core import failures, run_checks
from binderbox.commands.connect import look, opened, planned
from binderbox.commands.phases import INSTALL
from binderbox.commands.probe import HostProbe
from binderbox.decide.drain import public
from binderbox.decide.facts import make_facts
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    Sources,
    StatusRequest,
)
from binderbox.output.results import (
    Gauge,
    Part,
    StatusResult,
)
from binderbox.parts import checks
from binderbox.world.host.gather import gather

SELECTORS = {"user pods": "app=jupyterhub,component=singleuser-server", "builds": "component=binderhub-build"}


def status(request: StatusRequest, progress: Progress) -> StatusResult:
    """One screen: what is installed, whether it is well, how full it is."""
    with opened(request.connection) as host:
        facts = make_facts(gather(host))
        if facts.applied is None:
            return StatusResult(host.name, "absent")
        probe, _ = planned(look(host, Sources()), Sources())
        found = run_checks(checks.of(*(phase.proof for phase in INSTALL)), probe)
        parts, gauges = state_of(probe)
        well = not failures(found) and all(part.ok for part in parts)
        return StatusResult(
            host=host.name,
            verdict="healthy" if well else "degraded",
            url=probe.member.binder_url,
            applied=f"{facts.applied.when} by {facts.applied.who}",
            parts=parts,
            gauges=gauges,
            checks=found,
            drain=public(facts.drain) if facts.drain else None,
        )


def state_of(probe: HostProbe) -> tuple[tuple[Part, ...], tuple[Gauge, ...]]:
    """Units and deployments as parts; sessions, builds and disk as gauges."""
    units = [probe.unit(name) for name in layout.UNITS]
    parts = [Part(unit.name, unit.active == "active", detail=f"{unit.active} ({unit.sub})") for unit in units]
    if units[layout.UNITS.index(layout.K3S_UNIT)].active != "active":
        return tuple(parts), ()
    parts += [*_follower(probe), *_watch(probe)]
    deployments = probe.kubectl_json(["get", "deployments", "-A"])["items"]
    parts += [_part(one) for one in deployments]
    pods = probe.kubectl_json(["get", "pods", "-n", layout.HUB_NAMESPACE])["items"]
    sizing = probe.plan.sizing if probe.plan else None
    limits = {"user pods": sizing.quota.value, "builds": sizing.build_slots.value} if sizing else {}
    gauges = [Gauge(name, _count(pods, selector), limits.get(name)) for name, selector in SELECTORS.items()]
    facts = probe.facts
    gauges.append(Gauge("disk", round(facts.disk_gb - facts.disk_free_gb, 1), round(facts.disk_gb, 1), "GB"))
    return tuple(parts), tuple(gauges)


def _follower(probe: HostProbe) -> list[Part]:
    """What the follower last said; it is not well when somebody must do something."""
    said = probe.host.read(layout.FOLLOW_STATE)
    if said is None:
        return []
    found = json.loads(said)
    drift = f"; {len(found['drift'])} settings of the federation have moved" if found.get("drift") else ""
    well = found["verdict"] not in ("unmatched", "refused", "failed", "rolled-back")
    return [Part("follower", well, found["verdict"], f"{found['why']}{drift}")]


def _watch(probe: HostProbe) -> list[Part]:
    """What the watch last said of launches and of /health; how /health is now, a check says."""
    said = probe.host.read(layout.WATCH_STATE)
    if said is None:
        return []
    found = json.loads(said)
    return [Part("watch", found["verdict"] not in ("flapping", "stalled"), found["verdict"], found["why"])]


def _part(deployment: dict[str, Any]) -> Part:
    metadata, state = deployment["metadata"], deployment["status"]
    wanted, ready = deployment["spec"].get("replicas", 1), state.get("readyReplicas", 0)
    images = [container["image"] for container in deployment["spec"]["template"]["spec"]["containers"]]
    version = images[0].rpartition(":")[2]
    return Part(
        f"{metadata['namespace']}/{metadata['name']}", ready >= wanted, version, f"{ready}/{wanted} ready"
    )


def _count(pods: list[dict[str, Any]], selector: str) -> int:
    wanted = dict(pair.split("=") for pair in selector.split(","))
    return sum(wanted.items() <= pod["metadata"].get("labels", {}).items() for pod in pods)
