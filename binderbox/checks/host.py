"""Whether a host is fit to become a member. Asked before anything changes; a second run finds our own parts and is fine.

`look` hands facts to `judge`, which are plain values; thresholds stand here by name with their source.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from binderbox import layout
from binderbox.artifacts import Artifact
from binderbox.checks.core import Check, Skip, Verdict, failed, passed, warned
from binderbox.checks.probe import Calls, Probe, UnitState
from binderbox.disk import DiskTooSmall, make_disk_plan
from binderbox.facts import HostFacts, Reach
from binderbox.sizing import MIN_RAM_GB, SizeFault, make_sizing

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04", "26.04")}
MIN_CPUS = 2  # k3s alone takes most of one while a build runs
SLOW_FSYNC_MS = 10.0  # etcd's own advice for the 99th percentile; k3s' database waits for each write as well
MAX_CLOCK_OFFSET_S = 1.0  # mybinder.org-deploy 3480: drifted clocks broke tokens and TLS
CGROUP_V1_LAST_MINOR = 34  # from 1.35 the kubelet refuses cgroup v1 unless failCgroupV1 is false
OTHER_CLUSTERS = (
    "kubelet.service",
    "k3s-agent.service",
    "rke2-server.service",
    "rke2-agent.service",
    "k0scontroller.service",
    "snap.microk8s.daemon-kubelite.service",
)
CALLS_WITHOUT_CREDENTIALS = 60  # an hour and address: docs.github.com, rate limits for the REST API


def judge_os(facts: HostFacts) -> Verdict:
    found = f"{facts.os_id} {facts.os_version}"
    if facts.os_version in SUPPORTED.get(facts.os_id, ()):
        return passed(found)
    needed = " or ".join(f"{name} {', '.join(versions)}" for name, versions in SUPPORTED.items())
    return failed(found, needed, "reinstall the host with one of these")


def judge_arch(facts: HostFacts) -> Verdict:
    if facts.arch in ("x86_64", "amd64"):
        return passed(facts.arch)
    return failed(facts.arch, "x86_64: the images of repositories are built for it", "use an x86_64 machine")


def judge_cpus(facts: HostFacts) -> Verdict:
    if facts.cpus >= MIN_CPUS:
        return passed(f"{facts.cpus} CPUs")
    return failed(f"{facts.cpus} CPUs", f"{MIN_CPUS} CPUs", "resize the machine")


def judge_ram(facts: HostFacts) -> Verdict:
    found = f"{facts.ram_gb:.1f} GB"
    if facts.ram_gb >= MIN_RAM_GB:
        return passed(found)
    return failed(found, f"{MIN_RAM_GB} GB (a machine sold with 4 GB)", "resize the machine")


def look_disk(probe: Probe) -> DiskTooSmall | float:
    facts = probe.facts
    planned = make_disk_plan(probe.member, facts.disk_gb, facts.disk_free_gb, facts.ours_gb)
    return planned if isinstance(planned, DiskTooSmall) else facts.disk_gb


def judge_disk(found: DiskTooSmall | float) -> Verdict:
    if not isinstance(found, DiskTooSmall):
        return passed(f"{found:.0f} GB")
    return failed(
        f"{found.found_gb:.1f} GB usable ({found.reason})",
        f"{found.needed_gb:.0f} GB",
        "free some space, enlarge the disk, or set data_dir to a larger one",
    )


def judge_fsync(facts: HostFacts) -> Verdict:
    if facts.fsync_ms is None:
        return warned("not measured", f"{SLOW_FSYNC_MS:g} ms or less", "see whether the disk can be written")
    found = f"{facts.fsync_ms:.1f} ms a write"
    if facts.fsync_ms <= SLOW_FSYNC_MS:
        return passed(found)
    return warned(found, f"{SLOW_FSYNC_MS:g} ms or less", "use a disk with faster synchronous writes (SSD)")


def judge_clock(facts: HostFacts) -> Verdict:
    """The measured offset decides; what the host says of its own synchronisation only warns."""
    needed = f"within {MAX_CLOCK_OFFSET_S:g} s, and kept so by NTP"
    fix = "timedatectl set-ntp true; if it stays unsynchronised, open UDP port 123 to the provider's time servers"
    offset = facts.clock_offset_s
    if offset is not None and abs(offset) > MAX_CLOCK_OFFSET_S:
        return failed(f"{offset:+.1f} s against this machine", needed, fix)
    told = "offset not measured" if offset is None else f"{round(offset, 1) + 0:+.1f} s against this machine"
    if facts.clock_synced:
        return passed(f"{told}, synchronised")
    return warned(f"{told}, not known to be synchronised", needed, fix)


def judge_modules(facts: HostFacts) -> Verdict:
    if not facts.missing_modules:
        return passed(f"{len(layout.MODULES)} present")
    names = " ".join(facts.missing_modules)
    return failed(
        f"missing: {names}",
        "these kernel modules",
        f"modprobe -a {names}   (or install the distribution's full kernel)",
    )


@dataclass(frozen=True)
class Cgroups:
    """The host's cgroup version, and the k3s that is to run on it."""

    version: int
    k3s: Artifact


def judge_cgroups(found: Cgroups) -> Verdict:
    minor = kubernetes_minor(found.k3s.version)
    told = f"cgroup v{found.version} for Kubernetes 1.{minor}"
    if found.version == 2:
        return passed(told)
    fix = "boot with cgroup v2: add systemd.unified_cgroup_hierarchy=1 to the kernel's command line, update-grub, reboot"
    if minor <= CGROUP_V1_LAST_MINOR or "cgroup-v1" in found.k3s.features:
        return warned(f"{told}, which still accepts v1", "cgroup v2: support of v1 ends", fix)
    return failed(told, f"cgroup v2: from 1.{CGROUP_V1_LAST_MINOR + 1} the kubelet refuses v1", fix)


def kubernetes_minor(version: str) -> int:
    """v1.36.4+k3s1 -> 36; a version that tells nothing counts as the newest."""
    match = re.search(r"\b1\.(\d+)", version.lstrip("v"))
    return int(match[1]) if match else 999


@dataclass(frozen=True)
class Ports:
    """Ports that must be free or ours, and what listens on the host."""

    needed: dict[int, str]
    facts: HostFacts


def look_ports(probe: Probe) -> Ports:
    member = probe.member
    ours = {6443: "the Kubernetes API", 6444: "k3s", 10250: "the kubelet", 10256: "kube-proxy"}
    return Ports({member.http_port: "the ingress", member.https_port: "the ingress"} | ours, probe.facts)


def judge_ports(found: Ports) -> Verdict:
    taken = [
        one
        for one in found.facts.listeners
        if one.proto.startswith("tcp")
        and one.port in found.needed
        and not _is_ours(one.unit, one.owner, found.facts)
    ]
    ports = ", ".join(map(str, sorted(found.needed)))
    if not taken:
        return passed(f"{ports} are free or ours")
    by_port = {one.port: one for one in taken}
    told = [
        f"port {port} is held by {one.owner or 'an unknown process'}" + (f" ({one.unit})" if one.unit else "")
        for port, one in sorted(by_port.items())
    ]
    needed = [f"port {port} for {found.needed[port]}" for port in sorted(by_port)]
    units = sorted({one.unit for one in by_port.values() if one.unit.endswith(".service")})
    fix = f"systemctl disable --now {' '.join(units)}" if units else "stop what holds them (ss -ltnp)"
    return failed("; ".join(told), "; ".join(needed), fix)


def _is_ours(unit: str, owner: str, facts: HostFacts) -> bool:
    """What a run before this one started: our units, and on a host with our k3s the pods' processes too."""
    if unit in facts.installed_units:
        return True
    in_pod = unit.startswith(("kubepods", "cri-containerd")) or (not unit and owner == "traefik")
    return in_pod and "k3s.service" in facts.installed_units


def judge_sudo(facts: HostFacts) -> Verdict:
    if facts.sudo:
        return passed("root")
    return failed(
        "no root", "root, or sudo for this user", "log in as root, or allow sudo; with a password: --ask-sudo"
    )


@dataclass(frozen=True)
class Outbound:
    """What the host tried to reach, and whether the artifacts lie in a bundle."""

    reached: tuple[Reach, ...]
    from_bundle: bool


def look_outbound(probe: Probe) -> Outbound:
    if probe.member.offline:
        raise Skip("the config says offline: true")
    return Outbound(probe.facts.outbound, all(artifact.file for artifact in probe.artifacts.values()))


def judge_outbound(found: Outbound) -> Verdict:
    lost = [one for one in found.reached if not one.ok]
    if not lost:
        return passed(", ".join(one.target for one in found.reached) or "nothing to reach")
    told = "; ".join(f"{one.target}: {one.error or 'no answer'}" for one in lost)
    fix = "open outgoing TCP 80 and 443 at the provider's firewall; or install with --bundle and set offline: true"
    verdict = warned if found.from_bundle else failed
    return verdict(told, "an answer from each", fix)


def judge_swap(facts: HostFacts) -> Verdict:
    if not facts.swap_gb:
        return passed("none")
    return warned(
        f"{facts.swap_gb:.1f} GB",
        "none: memory limits do not hold with it",
        "swapoff -a, and take the swap lines out of /etc/fstab",
    )


@dataclass(frozen=True)
class Others:
    """Units of other clusters that exist, and whether a k3s here is ours."""

    units: tuple[UnitState, ...]
    k3s: UnitState
    ours: bool


def look_others(probe: Probe) -> Others:
    ours = probe.files([layout.ETC])[layout.ETC] is not None
    return Others(tuple(map(probe.unit, OTHER_CLUSTERS)), probe.unit("k3s.service"), ours)


def judge_others(found: Others) -> Verdict:
    units = [unit.name for unit in found.units if unit.load != "not-found"]
    if found.k3s.load != "not-found" and not found.ours:
        units.append("k3s.service")
    if not units:
        return passed("none")
    fix = "uninstall it with its own tool (e.g. k3s-uninstall.sh), or use another host"
    return failed(
        ", ".join(units), "no other Kubernetes: ports, interfaces and containers would collide", fix
    )


def judge_docker(found: UnitState) -> Verdict:
    if found.active != "active":
        return passed("none")
    return warned(
        "docker.service is active",
        "none: it sets the forward policy to drop, and fills the same disk",
        "systemctl disable --now docker.service docker.socket",
    )


def judge_packages(facts: HostFacts) -> Verdict:
    if not facts.missing_packages:
        return passed("all there")
    names = " ".join(facts.missing_packages)
    if any(one.ok for one in facts.outbound):
        return passed(f"to be installed: {names}")
    return failed(
        f"missing: {names}",
        "these packages, or a package source that answers",
        f"apt-get update && apt-get install {names}",
    )


def judge_route(facts: HostFacts) -> Verdict:
    if facts.address:
        return passed(f"{facts.address} on {facts.interface}")
    return failed(
        "no default route",
        "a default route: k3s takes the node's address from it",
        "ip route add default via GATEWAY",
    )


def judge_networks(facts: HostFacts) -> Verdict:
    """Pods, services and builds use fixed networks; where the host or its resolver lies in one, nothing reaches it."""
    ours = {"pods": layout.POD_CIDR, "services": layout.SERVICE_CIDR, "builds": layout.BUILD_CIDR}
    clash = [
        f"{address} lies in {network} ({name})"
        for address in dict.fromkeys((facts.address, *facts.resolvers))
        for name, network in ours.items()
        if address and "%" not in address and ip_address(address) in ip_network(network)
    ]
    if not clash:
        return passed(", ".join(ours.values()))
    return failed(
        "; ".join(clash), "addresses outside these networks", "give the host or its resolver another address"
    )


@dataclass(frozen=True)
class Sized:
    """What the config asks for that the machine cannot hold."""

    faults: tuple[SizeFault, ...]


def look_sizes(probe: Probe) -> Sized:
    faults = make_sizing(probe.member, probe.facts).faults
    return Sized(tuple(fault for fault in faults if fault.key != "ram"))


def judge_sizes(found: Sized) -> Verdict:
    if not found.faults:
        return passed("they fit")
    return failed(
        "; ".join(f"{fault.key}: {fault.found}" for fault in found.faults),
        "; ".join(f"{fault.key}: {fault.needed}" for fault in found.faults),
        "; ".join(fault.fix for fault in found.faults),
    )


def look_github(probe: Probe) -> Calls | None:
    if {"github-client-id", "github-client-secret"} <= set(probe.facts.secrets):
        return None
    if probe.member.offline:
        raise Skip("the config says offline: true")
    try:
        return probe.github_calls()
    except Exception:  # the answer is only a number in a warning
        return Calls(-1, CALLS_WITHOUT_CREDENTIALS)


def judge_github(found: Calls | None) -> Verdict:
    if found is None:
        return passed("github-client-id and github-client-secret are set")
    left = (
        "GitHub did not answer" if found.left < 0 else f"{found.left} of {found.limit} calls left this hour"
    )
    return warned(
        f"no credentials; {left}",
        f"credentials: without them GitHub answers {CALLS_WITHOUT_CREDENTIALS} calls an hour, and each launch takes one",
        "make an OAuth application at https://github.com/settings/developers, then\n"
        "binderbox secrets set HOST github-client-id\nbinderbox secrets set HOST github-client-secret",
    )


def look_facts(probe: Probe) -> HostFacts:
    return probe.facts


def look_cgroups(probe: Probe) -> Cgroups:
    return Cgroups(probe.facts.cgroup_version, probe.artifacts["k3s"])


def look_docker(probe: Probe) -> UnitState:
    return probe.unit("docker.service")


CHECKS = (
    Check("BBX-H01", "host", "the operating system is supported", look_facts, judge_os,
          "k3s, the packages and the paths are known on these releases only."),
    Check("BBX-H02", "host", "the architecture is supported", look_facts, judge_arch,
          "Images built on one member must run on every other."),
    Check("BBX-H03", "host", "there are enough CPUs", look_facts, judge_cpus,
          "Kubernetes and a build each keep one busy."),
    Check("BBX-H04", "host", "there is enough memory", look_facts, judge_ram,
          "k3s, the hub and the builds leave nothing for a user below this."),
    Check("BBX-H05", "host", "the disk is large enough", look_disk, judge_disk,
          "Image bytes sit in three stores at once; all ceilings together stay below 80 % of the disk."),
    Check("BBX-H06", "host", "the disk writes quickly", look_facts, judge_fsync,
          "Kubernetes' database waits for each write; slow disks show as timeouts everywhere.", fatal=False),
    Check("BBX-H07", "host", "the clock is right", look_facts, judge_clock,
          "Certificates and tokens fail on a clock that is off. Providers that block NTP are common."),
    Check("BBX-H08", "host", "the kernel has the modules", look_facts, judge_modules,
          "Overlay filesystems, bridged traffic and the firewall need them."),
    Check("BBX-H09", "host", "the cgroups suit this Kubernetes", look_cgroups, judge_cgroups,
          "From Kubernetes 1.35 the kubelet does not start on cgroup v1."),
    Check("BBX-H10", "host", "the ports are free", look_ports, judge_ports,
          "Another web server on port 80 or 443 is the usual cause."),
    Check("BBX-H11", "host", "we are root", look_facts, judge_sudo,
          "Everything that an install does needs root."),
    Check("BBX-H12", "host", "the Internet answers", look_outbound, judge_outbound,
          "Artifacts, packages and the repositories of users come from there."),
    Check("BBX-H13", "host", "there is no swap", look_facts, judge_swap,
          "A reboot that brought swap back has taken a member out of rotation.", fatal=False),
    Check("BBX-H14", "host", "there is no other Kubernetes", look_others, judge_others,
          "A k3s that binderbox has set up itself is not another one."),
    Check("BBX-H15", "host", "there is no docker engine", look_docker, judge_docker,
          "It works beside k3s, with surprises.", fatal=False),
    Check("BBX-H16", "host", "the packages can be had", look_facts, judge_packages,
          "The first phase installs what is missing."),
    Check("BBX-H17", "host", "the host has a default route", look_facts, judge_route,
          "The node's address is the one on the default route."),
    Check("BBX-H18", "host", "no network collides with ours", look_facts, judge_networks,
          "The networks of pods, services and builds are fixed at the first start."),
    Check("BBX-H19", "host", "the config's sizes fit the machine", look_sizes, judge_sizes,
          "Sizes that the config does not give are computed and always fit."),
    Check("BBX-H20", "host", "GitHub knows us", look_github, judge_github,
          "Each launch resolves a branch to a commit by GitHub's API.", fatal=False),
)  # fmt: skip
