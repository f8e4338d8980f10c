"""Whether a member is well, judged from one look at its host: `status` is this, and what it cost to get there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from binderbox import layout
from binderbox.checks.core import AT_ONCE, failures, remembering, run_checks
from binderbox.checks.probe import Probe, UnitState
from binderbox.commands.connect import planned, probe_of
from binderbox.commands.drained import public
from binderbox.decide.facts import HostFacts
from binderbox.federation.following.follow import STUCK
from binderbox.federation.following.watch import FOR_PEOPLE
from binderbox.output.requests import Sources
from binderbox.output.results import Gauge, Part, StatusResult
from binderbox.parts import checks
from binderbox.parts.ingress import acme
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host
from binderbox.world.objects import Objects

SELECTORS = {"user pods": "app=jupyterhub,component=singleuser-server", "builds": "component=binderhub-build"}
NAMESPACES = (layout.NAMESPACE, layout.HUB_NAMESPACE, "kube-system")


def status_of(
    host: Host,
    facts: HostFacts,
    known: Objects | None,
    shown: Mapping[str, UnitState],
    kept: Mapping[str, Any],
) -> StatusResult:
    """`known`: the cluster's objects as they were a moment ago, None where Kubernetes did not answer; `shown`: units;
    `kept`: what the node's jobs keep."""
    probe, decided = planned(probe_of(host, facts, Sources()), Sources())
    asked = remembering(
        replace(probe, at_once=known, shown=shown, kept=kept)
    )  # what parts and checks both ask is asked once
    found = run_checks(checks.of(*checks.INSTALLED), asked, at_once=AT_ONCE)
    parts, gauges = state_of(host, asked, decided)
    well = not failures(found) and all(part.ok for part in parts)
    return StatusResult(
        host=host.name,
        verdict="healthy" if well else "degraded",
        url=probe.member.binder_url,
        applied=f"{facts.applied.when} by {facts.applied.who}" if facts.applied else "",
        parts=parts,
        gauges=gauges,
        checks=found,
        drain=public(facts.drain) if facts.drain else None,
    )


def state_of(host: Host, probe: Probe, plan: Plan) -> tuple[tuple[Part, ...], tuple[Gauge, ...]]:
    """Units and deployments as parts; sessions, builds and disk as gauges."""
    units = [probe.unit(name) for name in layout.UNITS]
    parts = [Part(unit.name, unit.active == "active", detail=f"{unit.active} ({unit.sub})") for unit in units]
    if units[layout.UNITS.index(layout.K3S_UNIT)].active != "active":
        return tuple(parts), ()
    parts += [
        *_follower(probe),
        *_watch(probe),
        *_abuse(probe),
        *_guard(probe),
        *_registry(probe),
        *_disk(probe),
    ]
    deployments = [
        one
        for namespace in NAMESPACES
        for one in probe.kubectl_json(["get", "deployments", "-n", namespace])["items"]
    ]
    parts += [_part(one) for one in deployments]
    pods = probe.kubectl_json(["get", "pods", "-n", layout.HUB_NAMESPACE])["items"]
    limits = {"user pods": plan.sizing.quota.value, "builds": plan.sizing.build_slots.value}
    gauges = [Gauge(name, _count(pods, selector), limits.get(name)) for name, selector in SELECTORS.items()]
    facts = probe.facts
    gauges.append(Gauge("disk", round(facts.disk_used_gb, 1), round(facts.disk_gb, 1), "GB"))
    if images := facts.images_disk:
        used_gb = round(images.size_gb - images.free_gb, 1)
        gauges.append(Gauge("disk of images", used_gb, round(images.size_gb, 1), "GB"))
    gauges += _certificate(probe)
    return tuple(parts), tuple(gauges)


def _certificate(probe: Probe) -> list[Gauge]:
    """Days left of the certificate that ends first, of those that an authority gave; an own one's end is a check's."""
    member, facts = probe.member, probe.facts
    if member.tls != "acme":
        return []
    held = acme.held(member, facts.received)
    if not held:
        return []
    first = min(held, key=lambda one: one.ends)
    left = (first.ends - datetime.now(UTC)).total_seconds() / 86400
    return [Gauge("certificate", round(left, 1), round(first.life_days, 1), "days")]


def _follower(probe: Probe) -> list[Part]:
    """What the follower last said; it is not well when somebody must do something."""
    found = probe.followed()
    if found is None:
        return []
    drift = f"; {len(found['drift'])} settings of the federation have moved" if found.get("drift") else ""
    parts = [Part("follower", found["verdict"] not in STUCK, found["verdict"], f"{found['why']}{drift}")]
    if guard := found.get("guard"):
        well = guard["verdict"] not in STUCK
        parts.append(Part("follower of cryptnono", well, guard["verdict"], guard["why"]))
    return parts


def _watch(probe: Probe) -> list[Part]:
    """What the watch last said of launches and of /health; how /health is now, a check says."""
    found = probe.watched()
    if found is None:
        return []
    return [Part("watch", found["verdict"] not in FOR_PEOPLE, found["verdict"], found["why"])]


def _abuse(probe: Probe) -> list[Part]:
    """What came of the node's last try to do harm."""
    found = probe.tried_abuse()
    if found is None:
        return []
    score = "not tried" if found["why"] else f"{found['good']} of {found['of']}"
    return [Part("abuse check", not found["faults"], score, found["why"] or found["at"])]


def _guard(probe: Probe) -> list[Part]:
    """Whether cryptnono's detectors watch, and whether they killed a part of the host."""
    found = probe.guarded()
    if found is None:
        return []
    said = f"{len(found['kills'])} killed" if found["attaches"] else "a double, which kills nobody"
    return [Part("cryptnono", not found["faults"], said, "; ".join(found["faults"]) or found["at"])]


def _registry(probe: Probe) -> list[Part]:
    """What the registry holds, and whether it forgets."""
    found = probe.forgets()
    if found is None or "images" not in found:
        return []
    said = f"{found['images']} images, {found['size_bytes'] / 1e9:.1f} GB"
    return [Part("retention", not found["why"], said, found["why"] or f"last sweep {found.get('swept', '')}")]


def _disk(probe: Probe) -> list[Part]:
    """Whether launches are refused for the disk's sake, and what gave way last."""
    found = probe.disk()
    if found is None:
        return []
    said = "launches are refused" if found["refused"] else "has room"
    return [Part("disk", not found["refused"], said, found["why"] or "; ".join(found["did"]) or found["at"])]


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
