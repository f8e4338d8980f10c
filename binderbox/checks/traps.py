"""What lets an install fail late and without a name: other firewalls, odd names, file systems, limits of ssh, containers."""

from __future__ import annotations

import re
from collections.abc import Sequence

from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.decide.facts import HostFacts
from binderbox.decide.resolvers import on_loopback

NODE_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]*[a-z0-9])?")  # RFC 1123, as Kubernetes takes it
LABEL_MAX = 63  # kubernetes.io/hostname is a label
SESSIONS_NEEDED = 5  # the open shell, its lanes, and an upload beside them
SWITCH_OFF = {
    "ufw": "ufw disable",
    "firewalld": "systemctl disable --now firewalld",
    "shorewall": "systemctl disable --now shorewall",
    "csf": "csf -x",
    "lfd": "systemctl disable --now lfd",
}
WHY_FILTER = (
    "it drops what goes between pods, services and this host; binderbox brings the rules that a member needs"
)


def switch_off_lines(filters: Sequence[str]) -> tuple[str, ...]:
    """What is typed to switch these firewalls off for good; none for what is made by hand."""
    return tuple(SWITCH_OFF[one] for one in filters if one in SWITCH_OFF)


def judge_filters(facts: HostFacts) -> Verdict:
    if not facts.filters:
        return passed("none")
    fixes = list(switch_off_lines(facts.filters))
    if fixes:
        fixes[-1] += "  # or: binderbox install HOST --yes-firewall"
    tables = sorted({one.split()[2] for one in facts.filters if one.startswith("chain ")})
    if tables and not fixes:
        fixes = [
            "take its chains with `policy drop` away where they are loaded at boot (/etc/nftables.conf, "
            "/etc/iptables/rules.v4), then: systemctl disable --now nftables netfilter-persistent"
        ]
    return failed(", ".join(facts.filters), f"no other firewall: {WHY_FILTER}", "\n".join(fixes))


def judge_resolvers(facts: HostFacts) -> Verdict:
    """Pods cannot ask the host's loopback: k3s then gives them 8.8.8.8, which nobody here lets through."""
    if not facts.resolvers:
        return failed("none", "a resolver", "name one in /etc/resolv.conf: nameserver ADDRESS")
    inside = [one for one in facts.resolvers if on_loopback(one)]
    own = ", ".join(facts.own_resolvers or facts.resolvers)
    if inside:
        return failed(
            f"{', '.join(inside)}, on the host's loopback",
            "resolvers that pods can ask",
            "name the resolvers behind it in /run/systemd/resolve/resolv.conf (systemd-resolved does by itself) "
            "or in /etc/resolv.conf",
        )
    if set(facts.own_resolvers) - set(facts.resolvers) and facts.cgroup_version != 2:
        return failed(
            f"the host asks {own}, pods {', '.join(facts.resolvers)}",
            "cgroup v2, or one list for both: builds fetch as the host does",
            "systemd.unified_cgroup_hierarchy=1 on the kernel's command line, or "
            "ln -sf /run/systemd/resolve/resolv.conf /etc/resolv.conf",
        )
    return passed(f"{own}; pods: {', '.join(facts.resolvers)}")


def judge_node_name(facts: HostFacts) -> Verdict:
    """k3s takes the host's name for the node's; once it has started, the node's name is fixed in its config."""
    name = facts.node_name or facts.host_name.lower()
    faults = []
    if not NODE_NAME.fullmatch(name) or ".." in name:
        faults.append("letters, digits, `-` and `.` alone")
    if len(name) > LABEL_MAX:
        faults.append(f"at most {LABEL_MAX} characters, not {len(name)}")
    if name in ("localhost", "localhost.localdomain") and not facts.node_name:
        return warned(
            name, "a name of its own: it shows in logs and in Kubernetes", "hostnamectl set-hostname NAME"
        )
    if faults:
        return failed(name, "; ".join(faults), "hostnamectl set-hostname NAME, and the same in /etc/hosts")
    if facts.node_name and facts.host_name.lower() != facts.node_name:
        return passed(f"{name}, as at the first start; the host is called {facts.host_name} now")
    return passed(name)


def judge_trials(facts: HostFacts) -> Verdict:
    if not facts.trials:
        return passed("programs run, and overlay file systems can be made")
    words = {
        "write": "{path}: {why}",
        "exec": "no program runs from {path} (the file system at {why} is mounted noexec)",
        "overlay": "no overlay file system can be made in {path} ({why})",
    }
    told = [words[kind].format(path=path, why=why) for path, kind, why in facts.trials]
    fixes = {
        "write": "make the file system writable: mount -o remount,rw PATH",
        "exec": "mount -o remount,exec {why}, and the same in /etc/fstab",
        "overlay": "put {path} on ext4, or on xfs made with ftype=1",
    }
    fix = [fixes[kind].format(path=path, why=why) for path, kind, why in facts.trials]
    return failed("; ".join(told), "programs and containers at home there", "\n".join(dict.fromkeys(fix)))


def judge_hidepid(facts: HostFacts) -> Verdict:
    """The door runs as root and sees every process; others that k3s starts as users do not."""
    if facts.hidepid in ("", "0", "off"):
        return passed("processes are visible")
    return warned(
        f"hidepid={facts.hidepid}",
        "none: systemd and monitoring ask /proc for processes of others",
        "take hidepid out of the line of /proc in /etc/fstab, then: mount -o remount,hidepid=0 /proc",
    )


def judge_container(facts: HostFacts) -> Verdict:
    if facts.container in ("lxc", "lxc-libvirt", "openvz"):
        return failed(
            facts.container,
            "a machine with a kernel of its own: modules, cgroups and the firewall are the other one's here",
            "order a KVM machine from the provider, not a container",
        )
    return passed("a machine" if facts.container in ("", "none") else facts.container)


def judge_selinux(facts: HostFacts) -> Verdict:
    if facts.selinux.lower() != "enforcing":
        return passed("not enforcing")
    return failed(
        "enforcing",
        "permissive: there is no policy for k3s here",
        "setenforce 0, and SELINUX=permissive in /etc/selinux/config",
    )


def judge_probes(facts: HostFacts) -> Verdict:
    """Whether cryptnono's detectors can attach: they are kprobes that BCC compiles against headers, so BTF is not asked for.

    kernel: security/security.c, LOCKDOWN_KPROBES and LOCKDOWN_BPF_READ_KERNEL are refused from "confidentiality" on.
    """
    if facts.container not in ("", "none"):
        return passed("no detectors in a container")
    needed = "kprobes and BPF, as distributions' kernels have them; without, nobody ends miners here"
    if facts.missing_options:
        fix = "install the distribution's own kernel (apt-get install linux-image-amd64 or linux-image-generic), and boot it"
        return warned(f"kernel {facts.kernel} without {', '.join(facts.missing_options)}", needed, fix)
    if facts.lockdown == "confidentiality":
        fix = "take lockdown=confidentiality out of the kernel's command line (/etc/default/grub), update-grub, reboot"
        return warned("the kernel is locked down (confidentiality)", needed, fix)
    return passed(f"lockdown {facts.lockdown or 'none'}")


def judge_ssh(facts: HostFacts) -> Verdict:
    """What an install needs of ssh beside a shell: forwards to sockets on the host, and some sessions at once."""
    found, needed, lines = [], [], []
    for key in ("disableforwarding", "allowtcpforwarding"):
        bad = {"disableforwarding": ("yes",), "allowtcpforwarding": ("no", "remote")}[key]
        if facts.sshd.get(key) in bad:
            found.append(f"{key} {facts.sshd[key]}")
            needed.append("forwards to the host's own services")
            lines.append(f"{_spelled(key)} {'no' if key == 'disableforwarding' else 'yes'}")
    sessions = facts.sshd.get("maxsessions", "10")
    if sessions.isdigit() and int(sessions) < SESSIONS_NEEDED:
        found.append(f"maxsessions {sessions}")
        needed.append(f"{SESSIONS_NEEDED} sessions on one connection")
        lines.append(f"MaxSessions {SESSIONS_NEEDED * 2}")
    if not found:
        return passed("forwards and sessions are allowed")
    fix = f"in /etc/ssh/sshd_config: {', '.join(lines)}; then: systemctl reload ssh"
    return failed(", ".join(found), " and ".join(dict.fromkeys(needed)), fix)


def _spelled(key: str) -> str:
    return {"disableforwarding": "DisableForwarding", "allowtcpforwarding": "AllowTcpForwarding"}[key]
