"""RAM and CPUs to pods, quota, build slots and memory: arithmetic, each figure with its reason.

GB are 10^9 bytes, MB 10^6. Every figure can be set in the config (`origin` is then `config`); what contradicts the
machine is listed in `Sizing.faults` for the checks to report, never silently corrected.

Where the constants come from: k3s page of mybinder.org-deploy (1.75 pods for each GB of RAM), its values.yaml (user
450M guarantee, 2G limit, 1 CPU; 16 Gi for all builds of a 64 GB node), idle memory of each process as measured on
a real node (k3s and containerd 983 MiB, buildkitd 62, shims 14 each; hub, binder, proxy, coredns, registry 403).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Protocol

from binderbox.decide.profile import BUILD_POD_REQUEST_MB
from binderbox.layout import NODE_CIDR_MASK
from binderbox.member.model import Member
from binderbox.output.value import AnyValue, Value

MIN_RAM_GB = (
    3.8  # a VM sold with 4 GB (4 GiB) shows about 4.1; below it k3s and the hub leave nothing for a user
)
PODS_PER_GB = 1.75
SYSTEM_PODS = (
    12  # coredns, traefik, registry, objectstore, hub, proxy, binder, guard, and room while they roll over
)
TERMINATING_PODS = 31  # that still hold an address while their successors start: mybinder.org-deploy 3278
POD_ADDRESS_MARGIN = 3 + TERMINATING_PODS  # network, gateway and broadcast too
MAX_PODS = 2 ** (32 - NODE_CIDR_MASK) - POD_ADDRESS_MARGIN
K3S_AND_DAEMONS_GB = 1.35  # k3s 1.03, buildkitd 0.07, nine shims 0.13, the door, systemd and sshd
GUARD_MEMORY_GB = 0.32  # execwhacker 0.15, flowkiller 0.17, proportional shares of two: docs/verification.md
SYSTEM_POD_MEMORY_GB = 0.9  # hub 0.2, binder 0.15, proxy and coredns 0.12, registry 0.12, traefik 0.1, object store 0.2: `make bench`
MIN_USERS = 2  # the proof of an install runs two at once
USER_GUARANTEE_MB = 450
USER_LIMIT_GB = 2.0
USER_CPU_LIMIT = 1.0
BUILD_MEMORY_MAX_GB = 16.0
FEW_CPUS = 4  # where a start of JupyterLab and a build beside it are each other's neighbours
SERVER_START_S = (
    90  # JupyterHub's 300 s are for pulls; a server that ends at once is waited for as long, four times
)
SERVER_ANSWER_S = 60
SERVER_ANSWER_FEW_CPUS_S = (
    120  # five new repositories at once on 2 CPUs: three of five never came within JupyterHub's 30 s
)
LAUNCH_SLACK_S = 30
SMALL_RAM_GB = 8
BUILD_PODS_PER_SLOT, BUILD_PODS_SMALL, BUILD_PODS_MAX = 4, 2, 32  # 32: BinderHub's own concurrent_build_limit
SPAWN_LIMIT = 64  # z2jh's own
BUILD_STEP_TYPICAL_GB = 6.0  # jupyterlab-demo's build needs it: mybinder.org-deploy 2b323707


class Machine(Protocol):
    """What sizing needs of HostFacts."""

    @property
    def ram_gb(self) -> float: ...
    @property
    def cpus(self) -> int: ...


@dataclass(frozen=True)
class SizeFault:
    """A figure of the config that this machine cannot hold."""

    key: str
    found: str
    needed: str
    fix: str


@dataclass(frozen=True)
class Sizing:
    """Every figure that depends on RAM and CPUs."""

    pods: Value[int]
    quota: Value[int]
    build_slots: Value[int]
    build_memory_gb: Value[float]
    build_step_memory_gb: Value[float]
    build_pods: Value[int]
    build_pod_memory_mb: Value[int]
    system_reserved_gb: Value[float]
    user_memory_guarantee_mb: Value[int]
    user_memory_limit_gb: Value[float]
    user_cpu_limit: Value[float]
    server_start_s: Value[int]
    server_answer_s: Value[int]
    launch_timeout_s: Value[int]
    spawn_limit: Value[int]
    faults: tuple[SizeFault, ...] = ()

    @property
    def values(self) -> tuple[AnyValue, ...]:
        """All figures, in the order in which `plan` prints them."""
        return (
            self.pods,
            self.quota,
            self.build_slots,
            self.build_memory_gb,
            self.build_step_memory_gb,
            self.build_pods,
            self.build_pod_memory_mb,
            self.system_reserved_gb,
            self.user_memory_guarantee_mb,
            self.user_memory_limit_gb,
            self.user_cpu_limit,
            self.server_start_s,
            self.server_answer_s,
            self.launch_timeout_s,
            self.spawn_limit,
        )


def make_sizing(member: Member, machine: Machine) -> Sizing:
    """Decide the sizes of `member` on `machine`."""
    ram, cpus = machine.ram_gb, max(1, machine.cpus)
    build_memory = _build_memory(ram).overridden(member.build_memory_gb)
    slots = _build_slots(build_memory.value, cpus).overridden(member.build_slots)
    step = _step_memory(build_memory.value, slots.value).overridden(member.build_step_memory_gb)
    reserved = Value(
        "system_reserved_gb",
        _round(K3S_AND_DAEMONS_GB + build_memory.value),
        "GB",
        f"k3s, containerd and our daemons {K3S_AND_DAEMONS_GB} + builds {build_memory.value}, "
        "which run outside Kubernetes' own accounting",
    )
    limit = Value(
        "user_memory_limit_gb", USER_LIMIT_GB, "GB", "the same on every member of the federation"
    ).overridden(member.user_memory_gb)
    guarantee = Value(
        "user_memory_guarantee_mb",
        min(USER_GUARANTEE_MB, int(limit.value * 1000)),
        "MB",
        "the same on every member of the federation",
    )
    build_pods = _build_pods(slots.value, ram)
    for_users = (
        ram
        - reserved.value
        - SYSTEM_POD_MEMORY_GB
        - GUARD_MEMORY_GB
        - _round(build_pods.value * BUILD_POD_REQUEST_MB / 1000)
    )
    fitting = max(MIN_USERS, int(for_users * 1000 / guarantee.value))
    pods = _pods(ram, slots.value, build_pods.value, fitting).overridden(member.pods)
    quota = _quota(pods.value, build_pods.value, fitting, for_users).overridden(member.quota)
    answer = _server_answer(cpus)
    sizing = Sizing(
        pods=pods,
        quota=quota,
        build_slots=slots,
        build_memory_gb=build_memory,
        build_step_memory_gb=step,
        build_pods=build_pods,
        build_pod_memory_mb=_build_pod_memory(ram),
        system_reserved_gb=reserved,
        user_memory_guarantee_mb=guarantee,
        user_memory_limit_gb=limit,
        user_cpu_limit=Value("user_cpu_limit", USER_CPU_LIMIT, "CPUs", "the same on every member"),
        server_start_s=Value(
            "server_start_s", SERVER_START_S, "s", "until the pod runs; nothing is pulled for it here"
        ),
        server_answer_s=answer,
        launch_timeout_s=Value(
            "launch_timeout_s",
            SERVER_START_S + answer.value + LAUNCH_SLACK_S,
            "s",
            "BinderHub's wait for both, and some more",
        ),
        spawn_limit=_spawn_limit(quota.value),
    )
    return replace(sizing, faults=_faults(sizing, ram))


def _build_memory(ram: float) -> Value[float]:
    quarter = min(BUILD_MEMORY_MAX_GB, ram / 4)
    beside = (
        ram
        - K3S_AND_DAEMONS_GB
        - SYSTEM_POD_MEMORY_GB
        - GUARD_MEMORY_GB
        - MIN_USERS * USER_GUARANTEE_MB / 1000
    )
    reason = f"a quarter of {ram:.1f} GB RAM, at most 16 (all builds together)"
    if beside < quarter:
        reason = f"what {MIN_USERS} users leave of {ram:.1f} GB RAM (all builds together)"
    value = max(0.1, math.floor(min(quarter, beside) * 10 + 1e-6) / 10)
    return Value("build_memory_gb", value, "GB", reason)


def _build_slots(build_memory: float, cpus: int) -> Value[int]:
    few = 2 <= cpus <= FEW_CPUS
    value = max(1, min(int(build_memory / 2), cpus - 1 if few else cpus))
    most = f"one of {cpus} CPUs is for servers that start" if few else "at most one per CPU"
    return Value("build_slots", value, "builds", f"2 GB of the builds' {build_memory} GB each, {most}")


def _build_pods(slots: int, ram: float) -> Value[int]:
    """More than build at once, so that the door shares the slots out, and not BinderHub in the order of arrival."""
    if ram < SMALL_RAM_GB:
        return Value("build_pods", BUILD_PODS_SMALL, "pods", "a small machine: one builds, another waits")
    value = min(BUILD_PODS_MAX, BUILD_PODS_PER_SLOT * slots)
    reason = f"{BUILD_PODS_PER_SLOT} for each build slot, at most {BUILD_PODS_MAX}: one builds, the others wait at the door"
    return Value("build_pods", value, "pods", reason)


def _server_answer(cpus: int) -> Value[int]:
    """What gives up early is tried again by BinderHub, up to four times, each with one more server beside the last."""
    value = SERVER_ANSWER_FEW_CPUS_S if cpus <= FEW_CPUS else SERVER_ANSWER_S
    reason = f"until the server in it answers; with {cpus} CPUs, builds and other starts take their share"
    return Value("server_answer_s", value, "s", reason)


def _spawn_limit(quota: int) -> Value[int]:
    reason = "the hub refuses what is beyond it with 429; never less than the quota lets in"
    return Value("spawn_limit", max(SPAWN_LIMIT, quota), "starts at once", reason)


def _step_memory(build_memory: float, slots: int) -> Value[float]:
    if slots == 1:
        return Value(
            "build_step_memory_gb", build_memory, "GB", "one build at a time has all of the builds' memory"
        )
    fair = build_memory / slots
    value = _round(max(fair, min(BUILD_STEP_TYPICAL_GB, 0.75 * build_memory)))
    reason = "6 GB (what a large conda or JupyterLab build needs), at most 3/4 of the builds' memory"
    return Value("build_step_memory_gb", value, "GB", reason)


def _build_pod_memory(ram: float) -> Value[int]:
    reason = "a build pod only clones and packs the repository; BuildKit does the rest outside it"
    return Value("build_pod_memory_mb", 500 if ram < SMALL_RAM_GB else 2000, "MB", reason)


def _pods(ram: float, slots: int, build_pods: int, fitting: int) -> Value[int]:
    by_rule = int(ram * PODS_PER_GB) + max(0, build_pods - slots)
    least = SYSTEM_PODS + build_pods + min(fitting, 11)
    value = min(max(by_rule, least), MAX_PODS)
    if value == MAX_PODS:
        reason = f"the addresses of a /{NODE_CIDR_MASK} less {POD_ADDRESS_MARGIN} for pods that come and go"
    elif value == by_rule:
        reason = f"{PODS_PER_GB} for each of {ram:.1f} GB RAM, and {build_pods - slots} of builds that wait"
    else:
        reason = f"small machine: {SYSTEM_PODS} pods of the system, {build_pods} of builds, and a few users"
    return Value("pods", value, "pods", reason)


def _quota(pods: int, build_pods: int, fitting: int, for_users: float) -> Value[int]:
    left = max(MIN_USERS, pods - SYSTEM_PODS - build_pods)
    if fitting < left:
        reason = f"{for_users:.1f} GB left for users at {USER_GUARANTEE_MB} MB each"
    else:
        reason = f"{pods} pods less {SYSTEM_PODS} of the system and {build_pods} of builds"
    value = min(left, fitting)
    if value <= 10:
        reason += "; 11 is the least that a redirector sends users to"
    return Value("quota", value, "user pods", reason)


def _faults(sizing: Sizing, ram: float) -> tuple[SizeFault, ...]:
    if ram < MIN_RAM_GB:
        fix = "use a machine with 4 GB RAM or more"
        return (SizeFault("ram", f"{ram:.1f} GB", f"{MIN_RAM_GB} GB", fix),)
    found = []
    memory = K3S_AND_DAEMONS_GB + SYSTEM_POD_MEMORY_GB + GUARD_MEMORY_GB
    if sizing.build_memory_gb.value > ram - memory - 0.5:
        most = max(0.5, _round(ram - memory - 0.5))
        fix = f"set build_memory_gb to {most} or less, or leave it out"
        found.append(
            SizeFault("build_memory_gb", f"{sizing.build_memory_gb.value} GB", f"at most {most} GB", fix)
        )
    if sizing.build_step_memory_gb.value > sizing.build_memory_gb.value:
        found.append(
            SizeFault(
                "build_step_memory_gb",
                f"{sizing.build_step_memory_gb.value} GB",
                f"at most {sizing.build_memory_gb.value} GB, the memory of all builds",
                "set it lower, or build_memory_gb higher",
            )
        )
    room = sizing.pods.value - SYSTEM_PODS - sizing.build_pods.value
    if sizing.quota.value > max(room, MIN_USERS):
        fix = "set quota lower, or pods higher"
        found.append(SizeFault("quota", str(sizing.quota.value), f"at most {max(room, MIN_USERS)}", fix))
    return tuple(found)


def _round(size: float) -> float:
    return round(size, 1)
