"""From a member's config and a host's facts to the typed inputs of each phase. Pure: nothing is asked, nothing changed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.artifacts import versions
from binderbox.artifacts.resolve import Artifact
from binderbox.decide.disk import DiskPlan, DiskTooSmall, make_disk_plan
from binderbox.decide.facts import HostFacts
from binderbox.decide.sizing import Sizing, Value, make_sizing
from binderbox.drain import Drain, render_routes
from binderbox.errors import PreflightError
from binderbox.federation.following.followed import BUILD_IMAGE, CHART, CHART_IMAGES
from binderbox.member.model import Member
from binderbox.parts.agent import units as agentfiles
from binderbox.parts.agent.units import AgentInputs
from binderbox.parts.binderhub import values
from binderbox.parts.binderhub.values import ChartInputs
from binderbox.parts.builder import settings as builder
from binderbox.parts.builder.settings import BuilderInputs
from binderbox.parts.firewall import rules as firewall
from binderbox.parts.k3s import files as k3s
from binderbox.parts.secrets.kinds import MADE

SYSCTLS: Mapping[str, int] = {
    # Three members ran out of these, and `sysctl -w` did not survive a reboot: mybinder.org-deploy #2727 #3173 #3654
    "fs.inotify.max_user_instances": 8192,
    "fs.inotify.max_user_watches": 524288,
    "net.ipv4.ip_forward": 1,
    "net.bridge.bridge-nf-call-iptables": 1,  # or the firewall never sees one pod speak to another
    "net.bridge.bridge-nf-call-ip6tables": 1,
}

INGRESS_USER = 65532  # of the ingress's pod, in charts/ingress
FOLLOWED = (CHART, CHART_IMAGES, BUILD_IMAGE)
ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}  # uname's names to those of images


@dataclass(frozen=True)
class DrainInputs:
    """The routes by which the ingress answers as drained; None: in rotation."""

    routes: str | None = field(default=None, repr=False)


@dataclass(frozen=True)
class HostInputs:
    """What the host itself must hold. Texts are whole files; `directories` are (path, mode, owner id)."""

    packages: tuple[str, ...]
    modules: tuple[str, ...]
    sysctls: Mapping[str, int]
    directories: tuple[tuple[str, str, int], ...]
    journald: str
    firewall: str
    member_text: str
    who: str
    bundle_sha256: str | None
    bundle_lock: str | None
    other_gb: float
    secrets: Mapping[str, str]
    certificate_names: tuple[str, ...]  # none when certificates come by ACME
    extra_ca: tuple[str, ...]
    drain: DrainInputs


@dataclass(frozen=True)
class K3sInputs:
    """k3s with everything it reads at its start; `images` are archives that it imports and pins."""

    binary: Artifact
    helm: Artifact
    images: tuple[Artifact, ...]
    bundle: Path | None
    config: str
    kubelet: str
    manifest: str


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
    objectstore: ChartInputs
    registry: ChartInputs
    builder: BuilderInputs
    ingress: ChartInputs
    binderhub: ChartInputs
    agent: AgentInputs
    followed: tuple[Value[Any], ...] = ()

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
) -> Plan:
    """Decide everything for one host; raises PreflightError where the machine cannot hold what is asked."""
    sizing = make_sizing(member, facts)
    disk = make_disk_plan(member, facts.disk_gb, facts.disk_free_gb, facts.ours_gb, facts.recorded_other_gb)
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
        host=_host(member, member_text, facts, disk, who, bundle_sha256, bundle_lock),
        k3s=_k3s(sizing, disk, artifacts, bundle),
        objectstore=values.objectstore(member, artifacts),
        registry=values.registry(artifacts),
        builder=builder.make_inputs(
            sizing,
            disk,
            artifacts["buildkit"],
            bundle,
            data_dir=member.data_dir,
            arch=ARCHITECTURES[facts.arch],
            resolvers=facts.resolvers,
            egress_networks=[allow.network for allow in member.egress_allow],
            node_addresses=facts.addresses,
            # what is followed changes between installs, and its names are none that a build may have anyway
            reserved_images=sorted(
                {name for one in artifacts.values() if one.name not in FOLLOWED for name in one.images}
            ),
        ),
        ingress=values.ingress(member, artifacts),
        binderhub=values.binderhub(member, sizing, artifacts, secrets=facts.secrets, bundle=bundle),
        agent=agentfiles.make_inputs(
            member, facts, versions.load_follow(), artifacts["sample-base"].images[0]
        ),
        followed=_followed(artifacts),
    )


def _followed(artifacts: Mapping[str, Artifact]) -> tuple[Value[Any], ...]:
    """The versions that are the follower's, as figures of the plan."""
    why = "proved on this node by its follower; it wins over versions.toml and a bundle"
    return tuple(
        Value(key, artifacts[name].version, "", why, "followed")
        for name, key in ((CHART, "binderhub_chart"), (BUILD_IMAGE, "build_image"))
        if artifacts[name].followed
    )


def _host(
    member: Member,
    member_text: str,
    facts: HostFacts,
    disk: DiskPlan,
    who: str,
    bundle_sha256: str | None,
    bundle_lock: str | None,
) -> HostInputs:
    rules = firewall.render_ruleset(
        firewall.FirewallInputs(
            pod_cidr=layout.POD_CIDR,
            service_cidr=layout.SERVICE_CIDR,
            build_cidr=layout.BUILD_CIDR,
            cluster_dns=layout.CLUSTER_DNS,
            resolvers=facts.resolvers,
            egress_allow=member.egress_allow,
            ingress_ports=(member.http_port, member.https_port),
            sample_port=layout.SAMPLE_PORT,
            ssh_ports=facts.ssh_ports,
        )
    )
    return HostInputs(
        packages=facts.missing_packages,
        modules=layout.MODULES,
        sysctls=SYSCTLS,
        directories=(
            (layout.ETC, "700", 0),
            (layout.SECRETS, "700", 0),
            (layout.CA, "755", 0),
            (f"{layout.ETC}/tls", "700", 0),
            (member.data_dir, "755", 0),
            # The uids of the object store's and the hub's images; both run without root.
            (f"{member.data_dir}/objectstore", "700", 1000),
            (f"{member.data_dir}/hub", "700", 1000),
            (layout.INGRESS_ROUTES, "700", INGRESS_USER),
            *([(f"{member.data_dir}/traefik", "700", INGRESS_USER)] if member.tls == "acme" else []),
        ),
        journald=f"[Journal]\nSystemMaxUse={disk.logs_gb.value * 1000:.0f}M\n",
        firewall=rules,
        member_text=member_text,
        who=who,
        bundle_sha256=bundle_sha256,
        bundle_lock=bundle_lock,
        other_gb=disk.other_gb.value,
        secrets=MADE,
        certificate_names=(member.domain, f"*.{member.domain}") if member.tls == "own-ca" else (),
        extra_ca=member.extra_ca,
        drain=drain_inputs(member, facts.drain),
    )


def drain_inputs(member: Member, drain: Drain | None) -> DrainInputs:
    """What the ingress's directory of routes shall hold while the node says this of itself."""
    return DrainInputs(None if drain is None else render_routes(drain, member.domain))


def _k3s(sizing: Sizing, disk: DiskPlan, artifacts: Mapping[str, Artifact], bundle: Path | None) -> K3sInputs:
    return K3sInputs(
        binary=artifacts["k3s"],
        helm=artifacts["helm"],
        images=tuple(one for one in artifacts.values() if one.kind == "image" or one.name == "k3s-images"),
        bundle=bundle,
        config=k3s.render_config(),
        kubelet=k3s.render_kubelet(
            max_pods=sizing.pods.value,
            system_reserved_gb=sizing.system_reserved_gb.value,
            eviction_hard_gb=disk.eviction_hard_gb.value,
            image_gc_high_percent=disk.image_gc_high_percent.value,
            image_gc_low_percent=disk.image_gc_low_percent.value,
        ),
        manifest=k3s.render_manifest(),
    )
