"""The agent's files on the node as text from plain data: its config, and a service and a timer for each job. Pure."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass

from binderbox import layout
from binderbox.artifacts.followable import Follow
from binderbox.decide.disk import DiskPlan
from binderbox.decide.facts import HostFacts
from binderbox.launch.reach import forbidden_targets
from binderbox.member.model import Member
from binderbox.parts.disk.inputs import ceilings_gb, file_systems
from binderbox.parts.ingress import acme


@dataclass(frozen=True)
class Job:
    """A job of the agent, run again `every_s` after it ended, and later by chance up to `spread_s`; first after a boot or
    an install as long as that, or `first_s`. `looks_everywhere`: also into homes and /tmp, and writes there no more than others."""

    name: str
    title: str
    every_s: int
    spread_s: int
    longest_s: int
    first_s: int | None = None
    looks_everywhere: bool = False

    @property
    def service(self) -> str:
        return f"binderbox-{self.name}.service"

    @property
    def timer(self) -> str:
        return f"binderbox-{self.name}.timer"


# The federation sends nothing to a node that differs, so it looks often, and asks for one small answer. Members that
# follow the same prime do not pull at the same moment. An image may take half an hour, and a launch a quarter.
FOLLOW = Job("follow", "Follow the prime of the federation", every_s=120, spread_s=90, longest_s=3 * 3600)
# Six launches at most, of a quarter of an hour each, and two restarts.
WATCH = Job("watch", "Watch whether launches work", every_s=60, spread_s=10, longest_s=2 * 3600)
# A build and a launch of our own cost a place, so once a day, and not in the moment after a boot.
ABUSE = Job(
    "abuse",
    "Try whether strangers' code can harm others",
    every_s=24 * 3600,
    spread_s=3600,
    longest_s=3600,
    first_s=3 * 3600,
)
# A process of the host that a detector kills is told within a minute; a helm that puts bans in force takes some.
GUARD = Job("guard", "See that cryptnono watches, and keep its bans", every_s=60, spread_s=10, longest_s=900)
# The registry's log is read before the kubelet has rotated it away twice; once a day the registry forgets.
RETENTION = Job(
    "retention", "Have the registry forget what nobody launches", every_s=600, spread_s=60, longest_s=4 * 3600
)
# Builds and users write up to a GB a second, but what they write has floors of its own; this is for what creeps.
DISK = Job(
    "disk", "Keep the disk from filling", every_s=60, spread_s=5, longest_s=1800, looks_everywhere=True
)
STORE = ("endpoint", "bucket", "region", "path_style")
JOBS = (FOLLOW, WATCH, ABUSE, GUARD, RETENTION, DISK)


@dataclass(frozen=True)
class AgentInputs:
    """Everything the agent's deploy needs: the text of agent.json, and which artifacts stay on the node, by checksum."""

    config: str
    artifacts: tuple[str, ...] = ()


def make_inputs(
    member: Member,
    facts: HostFacts,
    allowed: Follow,
    sample_base: str,
    *,
    detectors: Sequence[str] = (),
    attaches: bool = True,
    disk: DiskPlan,
    artifacts: Iterable[str] = (),
) -> AgentInputs:
    """The jobs' config: what the member's config says, else versions.toml. Its keys are those of jobs/config.py.

    + detectors: the containers of cryptnono's pod, none where it is not to run
    + artifacts: checksums of those that stay on the node
    + attaches: whether cryptnono is a build that attaches to a kernel at all
    """
    asked = member.follow
    config = {
        "enabled": asked.enabled,
        "federation": asked.federation or allowed.federation,
        "deploy_repo": asked.deploy_repo or allowed.deploy_repo,
        "branch": asked.branch or allowed.branch,
        "chart_index": asked.chart_index or allowed.chart_index,
        "chart_places": sorted({asked.chart_index or allowed.chart_index, *allowed.chart_places}),
        "image_sources": sorted({*allowed.image_sources, *asked.image_sources}),
        "chart_range": list(allowed.chart_range),
        "build_image_range": list(allowed.build_image_range),
        "guard_index": asked.guard_index or allowed.guard_index,
        "guard_places": sorted({asked.guard_index or allowed.guard_index, *allowed.guard_places}),
        "guard_sources": sorted({*allowed.guard_sources, *asked.image_sources}),
        "guard_range": list(allowed.guard_range),
        "window": asked.window or "",
        "binder_url": member.binder_url,
        "address": facts.address,
        "ca_file": f"{layout.CA}/ca.crt" if member.tls == "own-ca" else "",
        "received_file": acme.file_on_the_node(member),
        "staging": member.acme_server == "staging",
        "hub_database": f"{member.data_dir}/hub/{layout.HUB_DATABASE}",
        "sample_base": sample_base,
        "pod_gateway": member.networks.pod_gateway,
        "resolvers": list(facts.resolvers),
        "own_resolvers": list(facts.own_resolvers),
        "forbidden": forbidden_targets(facts, member.networks),
        "allowed": {"ingress": f"{facts.address}:{member.https_port}"},
        "detectors": list(detectors),
        "attaches": attaches,
        "keep_days": member.registry_keep_days,
        "registry_max_gb": disk.objectstore_max_gb.value,
        "store": store.model_dump(include=set(STORE)) if (store := member.object_store) else {},
        "domain": member.domain,
        "data_dir": member.data_dir,
        "file_systems": [asdict(one) for one in file_systems(disk, member.data_dir)],
        "ceilings_gb": ceilings_gb(disk),
    }
    return AgentInputs(json.dumps(config, indent=1, sort_keys=True) + "\n", tuple(artifacts))


ALONE = "ProtectHome=yes\nPrivateTmp=yes"
EVERYWHERE = "ProtectHome=read-only\nPrivateTmp=no"


def render_service(job: Job) -> str:
    """It runs as root, because helm, containerd and the node's secrets are root's; it keeps little of it."""
    return f"""\
[Unit]
Description={job.title}
After=k3s.service network-online.target
Wants=network-online.target

[Service]
Type=oneshot
Environment={" ".join(layout.AGENT_PYTHON)} HOME={layout.AGENT_DATA} PYTHONUNBUFFERED=1
EnvironmentFile=-{layout.PROXY_FILE}
ExecStart=/usr/bin/python3 -m binderbox.parts.agent.jobs {job.name}
TimeoutStartSec={job.longest_s}
# a helm or a pull that is under way ends with it; the next run goes on from there
KillMode=control-group
MemoryMax=1G
TasksMax=512
CPUWeight=50
IOWeight=50
SuccessExitStatus=1

CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_CHOWN CAP_FOWNER CAP_SETUID CAP_SETGID
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths={layout.ETC}
{EVERYWHERE if job.looks_everywhere else ALONE}
PrivateDevices=yes
ProtectKernelTunables=yes
ProtectKernelModules=yes
ProtectKernelLogs=yes
ProtectControlGroups=yes
ProtectClock=yes
ProtectHostname=yes
RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6
RestrictNamespaces=yes
RestrictRealtime=yes
RestrictSUIDSGID=yes
LockPersonality=yes
SystemCallArchitectures=native
"""


def render_timer(job: Job) -> str:
    return f"""\
[Unit]
Description={job.title}, again and again

[Timer]
OnBootSec={job.first_s or job.every_s}
OnUnitInactiveSec={job.every_s}
OnActiveSec={job.first_s or job.every_s}
RandomizedDelaySec={job.spread_s}
AccuracySec=1

[Install]
WantedBy=timers.target
"""
