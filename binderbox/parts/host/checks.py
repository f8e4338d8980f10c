"""Whether a host is fit to become a member, and then whether its kernel is as the plan wants it.

The first is asked before anything changes; a second run finds our own parts and is fine.
"""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.checks import machine, surroundings, traps
from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe
from binderbox.checks.workloads import AGAIN, planned
from binderbox.decide.facts import HostFacts
from binderbox.parts.host import reaching

OTHER_FIREWALLS = "BBX-H21"  # install takes it away itself when it is told to


def look_facts(probe: Probe) -> HostFacts:
    return probe.facts


def look_sysctls(probe: Probe) -> Mapping[str, tuple[int, str]]:
    """By name: what is planned and what the kernel says."""
    wanted = planned(probe).sysctls
    found = probe.sysctls(tuple(wanted))
    return {name: (value, found[name]) for name, value in wanted.items()}


def judge_sysctls(values: Mapping[str, tuple[int, str]]) -> Verdict:
    """A higher value than planned is fine, except for a switch."""
    bad = {
        name: (wanted, found)
        for name, (wanted, found) in values.items()
        if not found.isdigit() or (int(found) != wanted if wanted in (0, 1) else int(found) < wanted)
    }
    if not bad:
        return passed(f"{len(values)} settings")
    return failed(
        ", ".join(f"{name} is {found or 'unknown'}" for name, (_, found) in bad.items()),
        ", ".join(f"{name} {wanted}" for name, (wanted, _) in bad.items()),
        f"see which file in /etc/sysctl.d sets it later, then {AGAIN}",
    )


CHECKS = (
    Check("BBX-H01", "host", "the operating system is supported", look_facts, machine.judge_os,
          "k3s, the packages and the paths are known on these releases only."),
    Check("BBX-H02", "host", "the architecture is supported", look_facts, machine.judge_arch,
          "Images built on one member must run on every other."),
    Check("BBX-H03", "host", "there are enough CPUs", look_facts, machine.judge_cpus,
          "Kubernetes and a build each keep one busy."),
    Check("BBX-H04", "host", "there is enough memory", look_facts, machine.judge_ram,
          "k3s, the hub and the builds leave nothing for a user below this."),
    Check("BBX-H05", "host", "the disk is large enough", machine.look_disk, machine.judge_disk,
          "Image bytes sit in three stores at once; all ceilings together stay below 80 % of the disk."),
    Check("BBX-H06", "host", "the disk writes quickly", look_facts, machine.judge_fsync,
          "Kubernetes' database waits for each write; slow disks show as timeouts everywhere.", fatal=False),
    Check("BBX-H07", "host", "the clock is right", look_facts, machine.judge_clock,
          "Certificates and tokens fail on a clock that is off. Providers that block NTP are common."),
    Check("BBX-H08", "host", "the kernel has the modules", look_facts, machine.judge_modules,
          "Overlay filesystems, bridged traffic and the firewall need them."),
    Check("BBX-H09", "host", "the cgroups suit this Kubernetes", machine.look_cgroups, machine.judge_cgroups,
          "From Kubernetes 1.35 the kubelet does not start on cgroup v1."),
    Check("BBX-H10", "host", "the ports are free", surroundings.look_ports, surroundings.judge_ports,
          "Another web server on port 80 or 443 is the usual cause."),
    Check("BBX-H11", "host", "we are root", look_facts, surroundings.judge_sudo,
          "Everything that an install does needs root."),
    Check("BBX-H12", "host", "the Internet answers", surroundings.look_outbound, surroundings.judge_outbound,
          "Artifacts, packages and the repositories of users come from there."),
    Check("BBX-H13", "host", "there is no swap", look_facts, machine.judge_swap,
          "A reboot that brought swap back has taken a member out of rotation.", fatal=False),
    Check("BBX-H14", "host", "there is no other Kubernetes", look_facts, surroundings.judge_others,
          "A k3s that binderbox has set up itself is not another one."),
    Check("BBX-H15", "host", "there is no docker engine", look_facts, surroundings.judge_docker,
          "It works beside k3s, with surprises.", fatal=False),
    Check("BBX-H16", "host", "the packages can be had", look_facts, surroundings.judge_packages,
          "The first phase installs what is missing."),
    Check("BBX-H17", "host", "the host has a default route", look_facts, surroundings.judge_route,
          "The node's address is the one on the default route."),
    Check("BBX-H18", "host", "no network collides with ours", surroundings.look_networks, surroundings.judge_networks,
          "The networks of pods, services and builds are fixed at the first start."),
    Check("BBX-H19", "host", "the config's sizes fit the machine", machine.look_sizes, machine.judge_sizes,
          "Sizes that the config does not give are computed and always fit."),
    Check("BBX-H20", "host", "GitHub knows us", surroundings.look_github, surroundings.judge_github,
          "Each launch resolves a branch to a commit by GitHub's API.", fatal=False),
    Check(OTHER_FIREWALLS, "host", "there is no other firewall", look_facts, traps.judge_filters,
          "Two firewalls that do not know of each other cut off pods, services and the resolver."),
    Check("BBX-H22", "host", "the host's name can be a node's", look_facts, traps.judge_node_name,
          "It is fixed at the first start: a host that is renamed later stays the same node."),
    Check("BBX-H23", "host", "programs and containers can run from the disk", look_facts, traps.judge_trials,
          "Tried in the very places, and undone."),
    Check("BBX-H24", "host", "processes are visible", look_facts, traps.judge_hidepid,
          "The build door knows its callers by their processes.", fatal=False),
    Check("BBX-H25", "host", "the host has a kernel of its own", look_facts, traps.judge_container,
          "In a container of a provider, modules, cgroups and firewall are somebody else's."),
    Check("BBX-H26", "host", "no SELinux policy is enforced", look_facts, traps.judge_selinux,
          "There is no policy for k3s on these systems."),
    Check("BBX-H27", "host", "ssh lets an install do its work", look_facts, traps.judge_ssh,
          "Asked of the server's own settings, before anything needs them."),
    Check("BBX-H28", "host", "images and data lie on disks that are planned for", look_facts, machine.judge_disks,
          "One file system or two: each has ceilings of its own."),
    Check("BBX-H29", "host", "pods and builds can ask for names", look_facts, traps.judge_resolvers,
          "The host's own resolver may be where no pod reaches it."),
    Check("BBX-H30", "host", "nothing that others reach is closed", surroundings.look_closed, surroundings.judge_closed,
          "The firewall lets in ssh, the ingress and what `ingress_allow` says."),
    Check("BBX-H31", "host", "what the install needs can be reached", reaching.look_places, reaching.judge_places,
          "Release hosts, registries and the authority, asked from the host; none for what a bundle brings."),
    Check("BBX-H32", "host", "the kernel lets cryptnono watch", look_facts, traps.judge_probes,
          "Its detectors are kprobes; everything else of a member works without them."),
    Check("BBX-P03", "prepared", "the kernel settings are in force", look_sysctls, judge_sysctls,
          "Too few inotify instances have stopped builds on three members."),
)  # fmt: skip
