"""The builder's settings on the node from plain data: buildkitd's config and the door's. Its units: builder_units.py.

Sizes: GB are 10^9 bytes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tomli_w

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.decide.disk import DiskPlan
from binderbox.decide.sizing import Sizing
from binderbox.member.model import EgressAllow, Mirror, Networks
from binderbox.parts.builder import network
from binderbox.parts.builder.door.steps import PREFIX

IMAGES = ("build-base", "sample-base")
BUILDKITD_CONFIG = f"{layout.ETC}/buildkitd.toml"
DOOR_CONFIG = f"{layout.ETC}/door.json"
READER = f"{layout.ETC}/node-reader"  # token and ca.crt of the ServiceAccount that may read pods
SCOPE_LIMITS = f"{layout.SYSTEMD}/bbx-.scope.d/50-limits.conf"
PROGRAMS = {  # of BuildKit's archive, and where each lies
    **{f"bin/{name}": f"{layout.BIN}/{name}" for name in ("buildkitd", "buildctl")},
    **{f"bin/buildkit-cni-{name}": f"{layout.CNI}/{name}" for name in network.PLUGINS},
}

SNAPSHOTTER = "overlayfs"  # k3s's own, too: they share what they have
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
# A layer lies in containerd compressed and unpacked: by zstd at level 1, Debian's base is 1 to 2.6, Python packages 1 to 4.0.
IMAGE_TO_LAYERS = 5.0


@dataclass(frozen=True)
class BuilderInputs:
    """Everything the builder's deploy needs; `buildkit` is a tar with PROGRAMS.

    + resolvers: whom buildkitd asks for names, at port 53 alone where the host has cgroup v2
    + egress_allow: what else it may ask although it is not public
    + proxy: lines of buildkitd's unit for the site's proxy; step_proxy: what build steps are told of it
    + node_addresses: this node's own, which it may not ask although they may be public
    + images: what the first builds are made from, so that nothing is pulled while somebody waits for it
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
    free_floor_gb: float
    free_ceiling_gb: float
    images_free_gb: float
    eviction_gb: float
    pins_gb: float
    pins: int
    networks: Networks
    mtu: int = 0
    resolvers: tuple[str, ...] = ()
    cgroup_v2: bool = False
    apparmor: bool = False
    egress_allow: tuple[EgressAllow, ...] = ()
    node_addresses: tuple[str, ...] = ()
    reserved_images: tuple[str, ...] = ()
    mirrors: tuple[Mirror, ...] = ()
    proxy: str = ""
    step_proxy: tuple[str, ...] = ()
    images: tuple[Artifact, ...] = ()


def make_inputs(
    sizing: Sizing,
    disk: DiskPlan,
    artifacts: Mapping[str, Artifact],
    bundle: Path | None,
    *,
    data_dir: str = layout.DATA,
    arch: str = "amd64",
    networks: Networks,
    mtu: int = 0,
    resolvers: Iterable[str] = (),
    cgroup_v2: bool = False,
    apparmor: bool = False,
    egress_allow: tuple[EgressAllow, ...] = (),
    node_addresses: Iterable[str] = (),
    reserved_images: Iterable[str] = (),
    mirrors: tuple[Mirror, ...] = (),
    proxy: str = "",
    step_proxy: Iterable[str] = (),
) -> BuilderInputs:
    return BuilderInputs(
        buildkit=artifacts["buildkit"],
        images=tuple(one for one in artifacts.values() if one.name in IMAGES),
        bundle=bundle,
        data_dir=data_dir,
        platform=f"linux/{arch}",
        build_slots=sizing.build_slots.value,
        build_memory_gb=sizing.build_memory_gb.value,
        build_step_memory_gb=sizing.build_step_memory_gb.value,
        cache_reserved_gb=disk.buildkit_reserved_gb.value,
        cache_max_gb=disk.buildkit_max_gb.value,
        cache_min_free_gb=disk.buildkit_min_free_gb.value,
        free_floor_gb=disk.builds_floor_gb.value,
        free_ceiling_gb=disk.builds_floor_max_gb.value,
        images_free_gb=disk.pins_floor_gb.value,
        eviction_gb=disk.eviction_hard_gb.value,
        pins_gb=disk.pins_gb.value,
        pins=disk.pins.value,
        networks=networks,
        mtu=mtu,
        resolvers=tuple(resolvers),
        cgroup_v2=cgroup_v2,
        apparmor=apparmor,
        egress_allow=egress_allow,
        node_addresses=tuple(node_addresses),
        reserved_images=tuple(reserved_images),
        mirrors=mirrors,
        proxy=proxy,
        step_proxy=tuple(step_proxy),
    )


def render_buildkitd(inputs: BuilderInputs) -> str:
    """buildkitd.toml. Every choice that BuildKit would make by looking around is made here."""
    return tomli_w.dumps(
        {
            "root": f"{inputs.data_dir}/buildkit",
            "insecure-entitlements": [],
            "grpc": {"address": [f"unix://{layout.BUILDKIT_SOCKET}"], "uid": 0, "gid": 0},
            "cdi": {"disabled": True},
            # "." is none; without it builds would have the host's
            "dns": {"nameservers": [inputs.networks.cluster_dns], "searchDomains": ["."]},
            "history": {"maxAge": HISTORY_S, "maxEntries": HISTORY_ENTRIES},
            **_registries(inputs.mirrors),
            # the door builds every Dockerfile with BuildKit's own frontend: door/frontend.py
            "frontend": {"gateway.v0": {"enabled": False}},
            "worker": {
                "oci": {
                    "enabled": False
                },  # it would win, and its images are where the kubelet cannot see them
                "containerd": {
                    "enabled": True,
                    "address": layout.CONTAINERD_SOCKET,  # a plain path: `unix://` breaks it (nerdctl#2268)
                    "namespace": "k8s.io",
                    "snapshotter": SNAPSHOTTER,
                    "platforms": [inputs.platform],
                    "networkMode": "cni",  # `auto` falls back to the host's own network, `bridge` isolates nobody
                    "cniConfigPath": network.CONFIG,
                    "cniBinaryPath": layout.CNI,
                    "cniPoolSize": 2 * inputs.build_slots,  # networks made ahead: 0.1 s less for each step
                    **({"apparmor-profile": layout.BUILDS_PROFILE} if inputs.apparmor else {}),
                    "defaultCgroupParent": f"{layout.BUILDS_SLICE}:{PREFIX}:",
                    "max-parallelism": 4 * inputs.build_slots,
                    "runtime": {
                        "name": "io.containerd.runc.v2",
                        "options": {"SystemdCgroup": True, "BinaryName": layout.STEP_RUNC},
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
                            "maxUsedSpace": bytes_of(SOURCES_SHARE * inputs.cache_max_gb),
                        },
                        {
                            "all": True,
                            "reservedSpace": bytes_of(inputs.cache_reserved_gb),
                            "maxUsedSpace": bytes_of(inputs.cache_max_gb),
                            "minFreeSpace": bytes_of(inputs.cache_min_free_gb),
                        },
                    ],
                },
            },
        }
    )


def _registries(mirrors: Iterable[Mirror]) -> dict[str, Any]:
    """BuildKit has mirrors by host, and knows of each whether it is plain."""
    found: dict[str, dict[str, Any]] = {
        one.registry: {"mirrors": [endpoint.partition("://")[2] for endpoint in one.endpoints]}
        for one in mirrors
    }
    for endpoint in (endpoint for one in mirrors for endpoint in one.endpoints):
        scheme, _, host = endpoint.partition("://")
        if scheme == "http":
            found.setdefault(host, {})["http"] = True
    return {"registry": found} if found else {}


def render_door(inputs: BuilderInputs) -> str:
    """The door's config; its keys are those of door/config.py."""
    return json.dumps(
        {
            "socket": layout.DOOR_SOCKET,
            "state_dir": f"{inputs.data_dir}/door",
            "status_file": layout.DOOR_STATUS,
            "image_prefix": layout.IMAGE_PREFIX,
            "reserved_images": list(inputs.reserved_images),
            "platform": inputs.platform,
            "build_slots": inputs.build_slots,
            "push_slots": PUSH_SLOTS,
            "push_lock": layout.PUSH_LOCK,
            "max_connections": MAX_CONNECTIONS,
            "max_context_mb": MAX_CONTEXT_MB,
            "max_context_files": MAX_CONTEXT_FILES,
            "max_build_s": MAX_BUILD_S,
            "build_memory_mb": round(inputs.build_memory_gb * 1000),
            "build_step_memory_mb": round(inputs.build_step_memory_gb * 1000),
            "free_floor_mb": round(inputs.free_floor_gb * 1000),
            "free_ceiling_mb": round(inputs.free_ceiling_gb * 1000),
            "images_free_mb": round(inputs.images_free_gb * 1000),
            "eviction_mb": round(inputs.eviction_gb * 1000),
            "pins_mb": round(inputs.pins_gb * 1000 / IMAGE_TO_LAYERS),
            "pins": inputs.pins,
            "audit_file": layout.AUDIT_FILE,
            "tasks_dir": layout.TASKS,
            "slice_dirs": list(layout.BUILDS_SLICE_DIRS),
            "memory_dirs": list(layout.BUILDS_MEMORY_DIRS),
            "freezer_dir": layout.BUILDS_FREEZER,
            "containerd_root": layout.CONTAINERD_ROOT,
            "idle_s": IDLE_S,
            "push_attempts_s": PUSH_ATTEMPTS_S,
            "buildctl": f"{layout.BIN}/buildctl",
            "buildkit_address": f"unix://{layout.BUILDKIT_SOCKET}",
            "buildkit_records": f"{inputs.data_dir}/buildkit/containerd-{SNAPSHOTTER}/metadata_v2.db",
            "buildkit_unit": layout.BUILDKITD_UNIT,
            "ctr": [layout.K3S, "ctr"],
            "containerd_socket": layout.CONTAINERD_SOCKET,
            "containerd_namespace": "k8s.io",
            "api_server": layout.API,
            "api_ca_file": f"{READER}/ca.crt",
            "api_token_file": f"{READER}/token",
            "namespace": layout.HUB_NAMESPACE,
            "registry": layout.REGISTRY,
            "registry_url": f"http://{inputs.networks.registry_ip}:{layout.REGISTRY.rpartition(':')[2]}",
            "registry_user_file": f"{layout.SECRETS}/registry-user",
            "step_proxy": list(inputs.step_proxy),
            "docker_login_file": f"{layout.SECRETS}/{layout.DOCKER_LOGIN}",
            "registry_password_file": f"{layout.SECRETS}/registry-password",
        },
        indent=1,
    )


def render_entry_points() -> str:
    """How repo2docker finds the engine: the one file of a `dist-info` directory on PYTHONPATH."""
    return "[repo2docker.engines]\nbinderbox = binderbox_engine.plugin:BinderboxEngine\n"


def bytes_of(gb: float) -> int:
    return round(gb * 1e9)
