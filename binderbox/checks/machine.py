"""Whether the machine itself is fit: system, sizes, disk, clock, kernel. Thresholds stand here with their source."""

from __future__ import annotations

import re
from dataclasses import dataclass

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Probe
from binderbox.decide.disk import DiskTooSmall, plan_of
from binderbox.decide.facts import HostFacts
from binderbox.decide.sizing import MIN_RAM_GB, SizeFault, make_sizing

SUPPORTED = {"debian": ("12", "13"), "ubuntu": ("22.04", "24.04", "26.04")}
MIN_CPUS = 2  # k3s alone takes most of one while a build runs
SLOW_FSYNC_MS = 10.0  # etcd's own advice for the 99th percentile; k3s' database waits for each write as well
MAX_CLOCK_OFFSET_S = 1.0  # mybinder.org-deploy 3480: drifted clocks broke tokens and TLS
CGROUP_V1_LAST_MINOR = 34  # from 1.35 the kubelet refuses cgroup v1 unless failCgroupV1 is false


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


def judge_disks(facts: HostFacts) -> Verdict:
    """Images lie with k3s, what must survive an uninstall in `data_dir`; each file system has a plan of its own."""
    if facts.images_disk is None:
        return passed(f"{facts.disk_gb:.0f} GB for both")
    return passed(f"{facts.images_disk.size_gb:.0f} GB for images, {facts.disk_gb:.0f} GB for the data")


def look_disk(probe: Probe) -> DiskTooSmall | float:
    planned = plan_of(probe.member, probe.facts)
    return planned if isinstance(planned, DiskTooSmall) else probe.facts.disk_gb


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


def look_cgroups(probe: Probe) -> Cgroups:
    return Cgroups(probe.facts.cgroup_version, probe.artifacts["k3s"])


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


def judge_swap(facts: HostFacts) -> Verdict:
    if not facts.swap_gb:
        return passed("none")
    return warned(
        f"{facts.swap_gb:.1f} GB",
        "none: memory limits do not hold with it",
        "swapoff -a, and take the swap lines out of /etc/fstab",
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
