"""What strangers' code tries from the inside: what must be refused, at once, and what must work.

Each target is tried by `repository/probe.py`, by a step of a build and by the kernel of the launched notebook. Whatever is
forbidden here is this node's own, leads nowhere (the canary's network), or is an address that no network of the world
gives to anybody. Pure; the agent travels with it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from binderbox import layout

if TYPE_CHECKING:
    from binderbox.decide.facts import HostFacts
    from binderbox.member.model import Networks

Seen = Mapping[str, bool | str]  # by name, True or the error's text

BANNED_WORD = "binderbox.canary.process"
CANARY = layout.CANARY_NETWORK.rpartition(".")[0]
SILENCE = "timed out"
OF_NOTEBOOKS = (
    "raw packets",
    "a neighbour's packets (ARP)",
)  # a step keeps CAP_NET_RAW, on a link of its own


BANNED = "a process with a banned name"
BANNED_TARGET = {BANNED: f"banned:{BANNED_WORD}"}  # cryptnono's to end, where its detectors are attached


def forbidden_targets(facts: HostFacts, networks: Networks, *, guarded: bool = False) -> dict[str, str]:
    """What neither a notebook nor a build step may ever reach, by name.

    + guarded: whether there is somebody who ends a process by its name
    """
    return {
        **(BANNED_TARGET if guarded else {}),
        "metadata address": "169.254.169.254:80",
        "metadata address of Alibaba": "100.100.100.200:80",
        "metadata address of Azure": "168.63.129.16:80",
        "metadata address by IPv6": "[fd00:ec2::254]:80",
        "API server by service": f"{networks.kubernetes_ip}:443",
        "API server by node": f"{facts.address}:6443",
        "kubelet": f"{facts.address}:10250",
        "ssh of the node": f"{facts.address}:{facts.ssh_ports[0] if facts.ssh_ports else 22}",
        "registry": f"{networks.registry_ip}:5000",
        "object store": f"objectstore.{layout.NAMESPACE}.svc.cluster.local:9000",
        "hub": f"hub.{layout.HUB_NAMESPACE}.svc.cluster.local:8081",
        "another pod": f"{networks.cluster_dns}:9153",
        "ssh of others": f"{CANARY}.1:22",
        "mail": f"{CANARY}.1:25",
        "a scan of 60 addresses": f"scan:{CANARY}.:443",
        "a tunnel through names": "tunnel:",
        "BuildKit's socket": f"unix:{layout.BUILDKIT_SOCKET}",
        "build door": f"unix:{layout.DOOR_SOCKET}",
        "containerd": f"unix:{layout.CONTAINERD_SOCKET}",
        "a token of the cluster": "file:/var/run/secrets/kubernetes.io/serviceaccount/token",
        "system calls without a filter": "unfiltered:",
        "raw packets": "raw:",
        "a neighbour's packets (ARP)": "arp:",
    }


def allowed_targets(facts: HostFacts, https_port: int = 443, unseen: str = "") -> dict[str, str]:
    """What must be reachable; without these a dead network would pass for a firewall.

    + unseen: a name that nobody asked for before, which must be answered, by "there is none" too
    """
    return {
        "cluster resolver": "dns:kubernetes.default.svc.cluster.local",
        "names beyond the cluster": f"unseen:{unseen}",
        "ingress": f"{facts.address}:{https_port}",
    }


def fault(name: str, answer: bool | str, must_work: bool, by_build: bool = False) -> str:
    """What is wrong with one answer (True or the error's text), or nothing."""
    if must_work:
        return "" if answer is True else f"{name} is out of reach ({answer})"
    if by_build and name in OF_NOTEBOOKS:
        return ""
    if answer is True:
        return f"{name} {'lives' if name == BANNED else 'is within reach'}"
    return f"{name} is met with silence in place of a refusal" if SILENCE in str(answer) else ""


def faults(seen: Seen, forbidden: Iterable[str], allowed: Iterable[str], by_build: bool) -> tuple[str, ...]:
    """Every way in which `seen` differs from what must be of these names."""
    found = [fault(name, seen[name], False, by_build) for name in forbidden]
    found += [fault(name, seen[name], True) for name in allowed]
    return tuple(one for one in found if one)


def judge_reach(seen: Seen, facts: HostFacts, networks: Networks, by_build: bool = False) -> tuple[str, ...]:
    """Every way in which `seen` differs from what must be on a host."""
    forbidden = forbidden_targets(facts, networks, guarded=BANNED in seen)
    return faults(seen, forbidden, allowed_targets(facts), by_build)
