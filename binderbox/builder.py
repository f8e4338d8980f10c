"""The builder's files on the node as text from plain data: buildkitd's config, units and limits, the door's config.

Sizes: GB are 10^9 bytes. What each limit holds:
- the slice holds all build steps of all builds together (memory, processes, share of the CPUs);
- the prefix drop-in `bbx-.scope.d` holds each step by itself, which BuildKit cannot (a step beyond it ends with 137);
- buildkitd's own fetches (`FROM`, `ADD https://...`) leave from the host itself, where the rules for the builds'
  bridge do not see them: there the unit's address list holds, by destination alone. In it what is allowed wins
  over what is denied, so a wide `egress_allow` opens more to a fetch than to a build step.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.artifacts import Artifact
from binderbox.disk import DiskPlan
from binderbox.firewall import NOT_PUBLIC_4, NOT_PUBLIC_6
from binderbox.sizing import Sizing

BUILDKITD_CONFIG = f"{layout.ETC}/buildkitd.toml"
DOOR_CONFIG = f"{layout.ETC}/door.json"
DOOR_STATUS = f"{layout.RUN}/door-status.json"  # beside the directory that build pods see, not in it
READER = f"{layout.ETC}/node-reader"  # token and ca.crt of the ServiceAccount that may read pods
BUILDKITD_UNIT = "binderbox-buildkitd.service"
DOOR_UNIT = "binderbox-door.service"
SCOPE_LIMITS = f"{layout.SYSTEMD}/bbx-.scope.d/50-limits.conf"
PROGRAMS = (
    "buildkitd",
    "buildctl",
    *(f"buildkit-cni-{name}" for name in ("bridge", "firewall", "host-local", "loopback")),
)

# Only the repository is compared. A frontend makes the very build steps, limits included, so a stranger's is not run.
FRONTENDS = ("docker.io/docker/dockerfile", "docker.io/docker/dockerfile-upstream")
NOT_PUBLIC_6_LOCAL = ("::/127", "64:ff9b:1::/48", "fc00::/7", "fe80::/10", "ff00::/8")

STEP_TASKS = 4096  # processes of one build step: as many as a user pod may have (k3s.py podPidsLimit)
CPU_WEIGHT = 50  # half of what the pods get when both want everything: running notebooks go first
HISTORY_S = 3600
HISTORY_ENTRIES = 100  # build arguments show in it
SOURCES_KEEP = "48h"  # contexts, cache mounts, git checkouts: BuildKit's own default
SOURCES_SHARE = 0.1
PUSH_SLOTS = 2
MAX_CONNECTIONS = 64  # a build pod has one; the rest is refused before it is read
MAX_CONTEXT_MB = 2048  # a build pod has 2 GB of scratch space: mybinder.org-deploy mybinder/values.yaml
MAX_CONTEXT_FILES = 300_000
MAX_BUILD_S = 3600
IDLE_S = 60
PUSH_ATTEMPTS_S = 7 * 24 * 3600


@dataclass(frozen=True)
class BuilderInputs:
    """Everything the builder's deploy needs; `buildkit` is a tar with PROGRAMS in `bin/`.

    + resolvers, egress_networks: what buildkitd itself may ask although it is not public
    + node_addresses: this node's own, which it may not ask although they may be public
    """

    buildkit: Artifact
    bundle: Path | None
    data_dir: str
    platform: str
    build_slots: int
    build_memory_gb: float
    build_step_memory_gb: float
    cache_reserved_gb: float
    cache_max_gb: float
    cache_min_free_gb: float
    resolvers: tuple[str, ...] = ()
    egress_networks: tuple[str, ...] = ()
    node_addresses: tuple[str, ...] = ()
    reserved_images: tuple[str, ...] = ()


def make_inputs(
    sizing: Sizing,
    disk: DiskPlan,
    buildkit: Artifact,
    bundle: Path | None,
    *,
    data_dir: str = layout.DATA,
    arch: str = "amd64",
    resolvers: Iterable[str] = (),
    egress_networks: Iterable[str] = (),
    node_addresses: Iterable[str] = (),
    reserved_images: Iterable[str] = (),
) -> BuilderInputs:
    return BuilderInputs(
        buildkit=buildkit,
        bundle=bundle,
        data_dir=data_dir,
        platform=f"linux/{arch}",
        build_slots=sizing.build_slots.value,
        build_memory_gb=sizing.build_memory_gb.value,
        build_step_memory_gb=sizing.build_step_memory_gb.value,
        cache_reserved_gb=disk.buildkit_reserved_gb.value,
        cache_max_gb=disk.buildkit_max_gb.value,
        cache_min_free_gb=disk.buildkit_min_free_gb.value,
        resolvers=tuple(resolvers),
        egress_networks=tuple(egress_networks),
        node_addresses=tuple(node_addresses),
        reserved_images=tuple(reserved_images),
    )


def render_buildkitd(inputs: BuilderInputs) -> str:
    """buildkitd.toml. Every choice that BuildKit would make by looking around is made here."""
    return render_toml(
        {
            "root": f"{inputs.data_dir}/buildkit",
            "insecure-entitlements": [],
            "grpc": {"address": [f"unix://{layout.BUILDKIT_SOCKET}"], "uid": 0, "gid": 0},
            "cdi": {"disabled": True},
            "dns": {"nameservers": [layout.CLUSTER_DNS]},
            "history": {"maxAge": HISTORY_S, "maxEntries": HISTORY_ENTRIES},
            "registry": {layout.REGISTRY: {"http": True}},
            "frontend": {"gateway.v0": {"enabled": True, "allowedRepositories": list(FRONTENDS)}},
            "worker": {
                "oci": {
                    "enabled": False
                },  # it would win, and its images are where the kubelet cannot see them
                "containerd": {
                    "enabled": True,
                    "address": layout.CONTAINERD_SOCKET,  # a plain path: `unix://` breaks it (nerdctl#2268)
                    "namespace": "k8s.io",
                    "snapshotter": "overlayfs",
                    "platforms": [inputs.platform],
                    "networkMode": "bridge",  # `auto` falls back to the host's own network
                    "bridgeName": layout.BUILD_INTERFACE,
                    "bridgeSubnet": layout.BUILD_CIDR,
                    "cniPoolSize": 2 * inputs.build_slots,  # networks made ahead: 0.1 s less for each step
                    "defaultCgroupParent": f"{layout.BUILDS_SLICE}:bbx:",
                    "max-parallelism": 4 * inputs.build_slots,
                    "runtime": {
                        "name": "io.containerd.runc.v2",
                        "options": {"SystemdCgroup": True, "BinaryName": layout.RUNC},
                    },
                    "gc": True,
                    "gcpolicy": [
                        {
                            "filters": [
                                "type==source.local",
                                "type==exec.cachemount",
                                "type==source.git.checkout",
                            ],
                            "keepDuration": SOURCES_KEEP,
                            "maxUsedSpace": _bytes(SOURCES_SHARE * inputs.cache_max_gb),
                        },
                        {
                            "all": True,
                            "reservedSpace": _bytes(inputs.cache_reserved_gb),
                            "maxUsedSpace": _bytes(inputs.cache_max_gb),
                            "minFreeSpace": _bytes(inputs.cache_min_free_gb),
                        },
                    ],
                },
            },
        }
    )


def render_door(inputs: BuilderInputs) -> str:
    """The door's config; its keys are those of door/config.py."""
    return json.dumps(
        {
            "socket": layout.DOOR_SOCKET,
            "state_dir": f"{inputs.data_dir}/door",
            "status_file": DOOR_STATUS,
            "image_prefix": layout.IMAGE_PREFIX,
            "reserved_images": list(inputs.reserved_images),
            "platform": inputs.platform,
            "build_slots": inputs.build_slots,
            "push_slots": PUSH_SLOTS,
            "max_connections": MAX_CONNECTIONS,
            "max_context_mb": MAX_CONTEXT_MB,
            "max_context_files": MAX_CONTEXT_FILES,
            "max_build_s": MAX_BUILD_S,
            "idle_s": IDLE_S,
            "push_attempts_s": PUSH_ATTEMPTS_S,
            "buildctl": f"{layout.BIN}/buildctl",
            "buildkit_address": f"unix://{layout.BUILDKIT_SOCKET}",
            "ctr": [layout.K3S, "ctr"],
            "containerd_socket": layout.CONTAINERD_SOCKET,
            "containerd_namespace": "k8s.io",
            "api_server": "https://127.0.0.1:6443",
            "api_ca_file": f"{READER}/ca.crt",
            "api_token_file": f"{READER}/token",
            "namespace": layout.HUB_NAMESPACE,
            "registry": layout.REGISTRY,
            "registry_url": f"http://{layout.REGISTRY_IP}:{layout.REGISTRY.rpartition(':')[2]}",
            "registry_user_file": f"{layout.SECRETS}/registry-user",
            "registry_password_file": f"{layout.SECRETS}/registry-password",
        },
        indent=1,
    )


def render_buildkitd_unit(inputs: BuilderInputs) -> str:
    """buildkitd shares containerd's mounts, so nothing here may give it a mount namespace of its own."""
    denied = [*NOT_PUBLIC_4, *NOT_PUBLIC_6_LOCAL, *NOT_PUBLIC_6, *inputs.node_addresses]
    allowed = [*inputs.resolvers, *inputs.egress_networks]
    # Without a resolver's address nothing could be fetched at all; `plan` always knows one.
    fetching = (
        f"IPAddressDeny={' '.join(denied)}\nIPAddressAllow={' '.join(allowed)}\n" if inputs.resolvers else ""
    )
    return f"""\
[Unit]
Description=BuildKit on k3s's containerd, for binderbox
Documentation=https://github.com/moby/buildkit
After=network-online.target k3s.service binderbox-firewall.service
Wants=network-online.target
Requires=binderbox-firewall.service
StartLimitIntervalSec=0

[Service]
Type=notify
# buildkit-cni-* are looked for in PATH
Environment=PATH={layout.BIN}:/usr/sbin:/usr/bin:/sbin:/bin
ExecStart={layout.BIN}/buildkitd --config {BUILDKITD_CONFIG}
RuntimeDirectory=binderbox/buildkit
RuntimeDirectoryMode=0700
LimitNOFILE=1048576
TasksMax=infinity
OOMScoreAdjust=-250
# it waits for containerd by itself for a minute
TimeoutStartSec=120
Restart=always
RestartSec=2
{fetching}
[Install]
WantedBy=multi-user.target
"""


def render_door_unit(inputs: BuilderInputs) -> str:
    """The door runs as root, because the sockets of containerd and BuildKit are root's; it keeps little of it."""
    return f"""\
[Unit]
Description=Build door between build pods and BuildKit
After=k3s.service {BUILDKITD_UNIT}
StartLimitIntervalSec=0

[Service]
Type=notify
Environment=PYTHONPATH={layout.DOOR}
ExecStart=/usr/bin/python3 -B -m binderbox.door {DOOR_CONFIG}
# Build pods have the directory mounted: it must stay the same one when the door is restarted.
RuntimeDirectory=binderbox/door
RuntimeDirectoryMode=0755
RuntimeDirectoryPreserve=yes
Restart=always
RestartSec=1
TimeoutStopSec=40
MemoryMax=2G
TasksMax=1024

CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_FOWNER CAP_KILL
NoNewPrivileges=yes
ProtectSystem=full
ReadWritePaths={inputs.data_dir}
ProtectHome=yes
PrivateTmp=yes
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
RestrictSUIDSGID=no
LockPersonality=yes
SystemCallArchitectures=native
SystemCallFilter=@system-service
SystemCallErrorNumber=EPERM

[Install]
WantedBy=multi-user.target
"""


def render_slice(inputs: BuilderInputs) -> str:
    return f"""\
[Unit]
Description=All build steps of all builds

[Slice]
MemoryMax={_bytes(inputs.build_memory_gb)}
MemorySwapMax=0
CPUWeight={CPU_WEIGHT}
IOWeight={CPU_WEIGHT}
TasksMax={STEP_TASKS * inputs.build_slots}
"""


def render_scope_limits(inputs: BuilderInputs) -> str:
    return f"""\
# Each build step is a scope bbx-<id>.scope; systemd applies this to all of them.
[Scope]
MemoryMax={_bytes(inputs.build_step_memory_gb)}
MemorySwapMax=0
TasksMax={STEP_TASKS}
"""


def render_entry_points() -> str:
    """How repo2docker finds the engine: the one file of a `dist-info` directory on PYTHONPATH."""
    return "[repo2docker.engines]\nbinderbox = binderbox_engine.plugin:BinderboxEngine\n"


def render_toml(table: Mapping[str, Any]) -> str:
    """TOML text of nested tables, lists of tables, strings, whole numbers and booleans; anything else is a TypeError."""
    return "\n".join(_table(table, ())) + "\n"


def _table(table: Mapping[str, Any], path: tuple[str, ...]) -> list[str]:
    lines: list[str] = []
    deeper: list[str] = []
    for key, value in table.items():
        inner = (*path, key)
        name = ".".join(_key(part) for part in inner)
        if isinstance(value, Mapping):
            deeper += ["", f"[{name}]", *_table(value, inner)]
        elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
            for one in value:
                deeper += ["", f"[[{name}]]", *_table(one, inner)]
        else:
            lines.append(f"{_key(key)} = {_value(value)}")
    return lines + deeper


def _key(key: str) -> str:
    return key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else _value(key)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        # JSON's escapes are TOML's too, except pairs of surrogates, so only what must be escaped is; and U+007F
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007F")
    if isinstance(value, list):
        return f"[{', '.join(_value(one) for one in value)}]"
    raise TypeError(f"no TOML for {value!r}")


def _bytes(gb: float) -> int:
    return round(gb * 1e9)
