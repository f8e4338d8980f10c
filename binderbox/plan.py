"""From a member's config and a host's facts to the typed inputs of each phase. Pure: nothing is asked, nothing changed."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from binderbox.artifacts import followable
from binderbox.artifacts.records import Records, render
from binderbox.artifacts.resolve import Artifact, exact_name
from binderbox.decide import proxies
from binderbox.decide.disk import DiskPlan, DiskTooSmall, plan_of
from binderbox.decide.facts import HostFacts
from binderbox.decide.sizing import Sizing, make_sizing
from binderbox.errors import ConfigError, PreflightError
from binderbox.federation.following.followed import (
    BUILD_IMAGE,
    CHART,
    CHART_IMAGES,
    GUARD_CHART,
    GUARD_IMAGES,
    Followed,
    Guard,
    Record,
)
from binderbox.member.model import Member, ObjectStore, parse
from binderbox.output.value import Value
from binderbox.parts.agent.units import AgentInputs
from binderbox.parts.agent.units import make_inputs as make_agent
from binderbox.parts.binderhub.values import make_inputs as make_binderhub
from binderbox.parts.builder.settings import BuilderInputs
from binderbox.parts.builder.settings import make_inputs as make_builder
from binderbox.parts.guard.values import attaches, detectors, watches
from binderbox.parts.guard.values import make_inputs as make_guard
from binderbox.parts.helm.inputs import ChartInputs
from binderbox.parts.host.inputs import HostInputs
from binderbox.parts.host.inputs import make_inputs as make_host
from binderbox.parts.ingress.values import make_inputs as make_ingress
from binderbox.parts.k3s.inputs import K3sInputs
from binderbox.parts.k3s.inputs import make_inputs as make_k3s
from binderbox.parts.objectstore.values import make_inputs as make_objectstore
from binderbox.parts.registry.values import make_inputs as make_registry

FOLLOWED = (CHART, CHART_IMAGES, BUILD_IMAGE, GUARD_CHART, GUARD_IMAGES)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's names to those of images


@dataclass(frozen=True)
class Plan:
    """Everything decided for one host; `values` says of each figure what it is, why, and where it came from."""

    member: Member
    member_text: str
    facts: HostFacts
    sizing: Sizing
    disk: DiskPlan
    sample_base: str
    host: HostInputs
    k3s: K3sInputs
    objectstore: ChartInputs | None
    registry: ChartInputs
    builder: BuilderInputs
    ingress: ChartInputs
    guard: ChartInputs | None
    binderhub: ChartInputs
    agent: AgentInputs
    followed: tuple[Value[Any], ...] = ()

    @property
    def kubelet(self) -> str:
        return self.k3s.kubelet

    @property
    def sysctls(self) -> Mapping[str, int]:
        return self.host.sysctls

    @property
    def values(self) -> tuple[Value[Any], ...]:
        return (*self.sizing.values, *self.disk.values, *self.followed)


def make(
    member: Member,
    member_text: str,
    facts: HostFacts,
    artifacts: Mapping[str, Artifact],
    *,
    who: str = "",
    bundle: Path | None = None,
    bundle_sha256: str | None = None,
    bundle_lock: str | None = None,
    records: Records = MappingProxyType({}),
    versions_text: str | None = None,
    switch_off: Collection[str] = (),
) -> Plan:
    """Decide everything for one host; raises PreflightError where the machine cannot hold what is asked.

    + switch_off: lines against other firewalls that somebody has agreed to
    """
    _refuse_another_store(member, facts)
    sizing = make_sizing(member, facts)
    disk = plan_of(member, facts)
    if isinstance(disk, DiskTooSmall):
        raise PreflightError(
            f"{facts.name}: the disk is too small",
            cause=f"{disk.needed_gb:g} GB are needed, {disk.found_gb:g} GB can be used; {disk.reason}",
            remedy="free space on the disk of /var/lib, or give the machine a larger one",
        )
    return Plan(
        member=member,
        member_text=member_text,
        facts=facts,
        sizing=sizing,
        disk=disk,
        sample_base=artifacts["sample-base"].images[0],
        host=make_host(
            member,
            member_text,
            facts,
            disk,
            who,
            bundle_sha256,
            bundle_lock,
            records=render(records.values()) if records else None,
            versions_text=versions_text,
            ahead=tuple(one for one in artifacts.values() if one.url or one.pull),
            switch_off=switch_off,
        ),
        k3s=make_k3s(
            sizing,
            disk,
            artifacts,
            bundle,
            facts.node_name or facts.host_name.lower(),
            facts.resolvers,
            member.networks,
            member.mirrors,
            proxies.noted(member, facts.secrets),
        ),
        objectstore=make_objectstore(member, artifacts),
        registry=make_registry(member, artifacts),
        builder=make_builder(
            sizing,
            disk,
            artifacts,
            bundle,
            data_dir=member.data_dir,
            arch=ARCHITECTURES[facts.arch],
            networks=member.networks,
            mtu=facts.mtu,
            resolvers=facts.own_resolvers if facts.cgroup_version == 2 else facts.resolvers,
            cgroup_v2=facts.cgroup_version == 2,
            apparmor=facts.apparmor,
            egress_allow=member.egress_allow,
            node_addresses=facts.addresses,
            mirrors=member.mirrors,
            proxy=proxies.noted(member, facts.secrets),
            step_proxy=proxies.for_steps(member),
            # what is followed changes between installs, and its names are none that a build may have anyway
            reserved_images=sorted(
                {
                    name
                    for one in artifacts.values()
                    if one.name not in FOLLOWED and one.of not in FOLLOWED
                    for name in one.images
                }
            ),
        ),
        ingress=make_ingress(member, artifacts, facts.received, facts.identity, facts.secrets),
        guard=make_guard(artifacts, facts.arch, bundle) if watches(artifacts, facts.container) else None,
        binderhub=make_binderhub(member, sizing, artifacts, disk=disk, secrets=facts.secrets, bundle=bundle),
        agent=make_agent(
            member,
            facts,
            followable.load(),
            artifacts["sample-base"].images[0],
            detectors=detectors(facts.arch) if watches(artifacts, facts.container) else (),
            attaches=attaches(artifacts),
            disk=disk,
            artifacts=_wanted(artifacts, facts, bundle_lock),
        ),
        followed=_followed(artifacts),
    )


def _wanted(artifacts: Mapping[str, Artifact], facts: HostFacts, bundle_lock: str | None) -> list[str]:
    """Checksums of what may be asked for again: by this plan, by the node's records, or by its bundle, which may not be at hand."""
    texts = " ".join(filter(None, (facts.records, facts.bundle_lock, bundle_lock)))
    return sorted({*re.findall(r"[0-9a-f]{64}", texts), *(one.sha256 for one in artifacts.values())})


def _refuse_another_store(member: Member, facts: HostFacts) -> None:
    """Images are where they were pushed, and nothing moves them yet; raises ConfigError."""
    if facts.applied is None:
        return
    try:
        before = parse(facts.applied.text, "the applied config").object_store
    except ConfigError:  # an older binderbox's, or cut off
        return
    then, now = (_place(store) for store in (before, member.object_store))
    if then != now:
        raise ConfigError(
            f"{facts.name}: the object store cannot be changed: its images are in {then}, and the config says {now}",
            cause="every image would have to be built again, and nobody moves them yet",
            remedy=f"say in the config what was applied, or begin anew: binderbox uninstall {facts.name} --purge",
        )


def _place(store: ObjectStore | None) -> str:
    return f"the bucket {store.bucket} at {store.endpoint}" if store else "the node's own object store"


def overlay(artifacts: Mapping[str, Artifact], record: Record) -> dict[str, Artifact]:
    """The artifacts with what the node's follower proved in the place of the pins; nothing to overlay: as they are.

    A followed chart is on the node already, and so are its images: a bundle's for the pinned chart are left out.
    """
    found = dict(artifacts)
    if guard := record.guard:
        rest = {name: one for name, one in found.items() if name != GUARD_IMAGES and one.of != GUARD_CHART}
        found = rest | _of_chart(artifacts[GUARD_CHART], guard, guard.images)
    if record.followed is None:
        return found
    pins, build = record.followed, artifacts[BUILD_IMAGE]
    digest = pins.images.get(pins.build_image, "").removeprefix("sha256:")
    rest = {name: one for name, one in found.items() if name != CHART_IMAGES and one.of != CHART}
    of_chart = {name: digest for name, digest in pins.images.items() if name != pins.build_image}
    return rest | {
        **_of_chart(artifacts[CHART], pins, of_chart),
        BUILD_IMAGE: Artifact(
            BUILD_IMAGE,
            build.kind,
            digest,
            pins.build_image,
            pins.build_image.rpartition(":")[2],
            images=(pins.build_image,),
            trust="followed",
            pull=exact_name(pins.build_image, digest),
        ),
    }


def _of_chart(chart: Artifact, pins: Followed | Guard, images: Mapping[str, str]) -> dict[str, Artifact]:
    """The chart and its images, which the follower brought; an install brings back what an uninstall took away.

    + images: name to digest
    """
    followed = Artifact(
        chart.name,
        chart.kind,
        pins.chart_sha256,
        pins.chart_source,
        pins.chart,
        url=pins.chart_source,
        features=chart.features,
        trust="followed",
    )
    found = {chart.name: followed}
    for image, digest in images.items():
        sha256, (name, _, tag) = digest.removeprefix("sha256:"), image.rpartition("/")[2].partition(":")
        found[name] = Artifact(
            name,
            "image",
            sha256,
            image,
            tag,
            images=(image,),
            trust="followed",
            pull=exact_name(image, sha256),
            of=chart.name,
        )
    return found


def _followed(artifacts: Mapping[str, Artifact]) -> tuple[Value[Any], ...]:
    """The versions that are the follower's, as figures of the plan."""
    why = "proved on this node by its follower; it wins over versions.toml and a bundle"
    return tuple(
        Value(key, artifacts[name].version, "", why, "followed")
        for name, key in (
            (CHART, "binderhub_chart"),
            (BUILD_IMAGE, "build_image"),
            (GUARD_CHART, "cryptnono_chart"),
        )
        if artifacts[name].followed
    )
