"""Whether anything else stands in the way: other programs on the host, its network, the Internet, GitHub."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from binderbox import layout
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Calls, Probe, Skip
from binderbox.decide.facts import DOCKER, OTHER_CLUSTERS, HostFacts, Listener, Reach

# DHCP, which the firewall lets in; mDNS and LLMNR, which are of one network
ANSWERS_COME = (68, 546, 5353, 5355)
EPHEMERAL = 32768  # net.ipv4.ip_local_port_range
CALLS_WITHOUT_CREDENTIALS = 60  # an hour and address: docs.github.com, rate limits for the REST API


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


@dataclass(frozen=True)
class Closed:
    """What listens to other machines and will not be reached any more, and the tunnel by which ssh came, if any."""

    listeners: tuple[Listener, ...]
    ssh_tunnel: str


def look_closed(probe: Probe) -> Closed:
    facts, member = probe.facts, probe.member
    open_ = {("tcp", port) for port in (*facts.ssh_ports, member.http_port, member.https_port)}
    open_ |= {(one.protocol, port) for one in member.ingress_allow for port in one.ports}
    open_ |= {("udp", port) for port in ANSWERS_COME}
    closed = [
        one
        for one in facts.listeners
        if (one.proto, one.port) not in open_
        and not _is_loopback(one.address)
        and not _is_ours(one.unit, one.owner, facts)
        # a program that asks has such a port for the answers; the kernel's own, WireGuard's, has no owner
        and not (one.proto == "udp" and one.port >= EPHEMERAL and one.owner)
    ]
    by_port = {(one.port, one.proto): one for one in closed}
    return Closed(tuple(one for _, one in sorted(by_port.items())), facts.ssh_tunnel)


def judge_closed(found: Closed) -> Verdict:
    """Our firewall closes it; where ssh itself comes by a tunnel, its operator would be locked out a moment later."""
    if not found.listeners:
        return passed("nothing but ssh and the ingress")
    told = ", ".join(
        f"{one.port}/{one.proto}" + (f" ({one.owner or one.unit})" if one.owner or one.unit else "")
        for one in found.listeners
    )
    by_proto: dict[str, list[int]] = {}
    for one in found.listeners:
        by_proto.setdefault(one.proto, []).append(one.port)
    lines = ", ".join(f"{{protocol: {proto}, ports: {ports}}}" for proto, ports in sorted(by_proto.items()))
    fix = f"to keep them open, in the config: ingress_allow: [{lines}]"
    if found.ssh_tunnel and "udp" in by_proto:
        needed = f"the port of {found.ssh_tunnel}, by which ssh comes here, in ingress_allow"
        return failed(f"{told} would be closed to other machines", needed, fix)
    return warned(f"{told} will be closed to other machines", "that nobody needs them", fix)


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:  # `*`
        return False


def _is_ours(unit: str, owner: str, facts: HostFacts) -> bool:
    """What a run before this one started: our units, and on a host with our k3s the pods' processes too."""
    if unit in facts.installed_units:
        return True
    in_pod = unit.startswith(("kubepods", "cri-containerd")) or (not unit and owner == "traefik")
    return in_pod and layout.K3S_UNIT in facts.installed_units


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
    fix = (
        "open outgoing TCP 80 and 443 at the provider's firewall; or make a bundle elsewhere by "
        "binderbox bundle create DIR, set offline: true, and install with --bundle DIR"
    )
    verdict = warned if found.from_bundle else failed
    return verdict(told, "an answer from each", fix)


def judge_others(facts: HostFacts) -> Verdict:
    units = [name for name in OTHER_CLUSTERS if name in facts.other_units]
    if layout.K3S_UNIT in facts.installed_units and not facts.begun:
        units.append(layout.K3S_UNIT)
    if not units:
        return passed("none")
    fix = "uninstall it with its own tool (e.g. k3s-uninstall.sh), or use another host"
    return failed(
        ", ".join(units), "no other Kubernetes: ports, interfaces and containers would collide", fix
    )


def judge_docker(facts: HostFacts) -> Verdict:
    if facts.other_units.get(DOCKER) != "active":
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
    if ":" in facts.address:
        return failed(
            f"{facts.address} on {facts.interface}: IPv6 alone",
            "an IPv4 address with a default route: pods, services and the ingress have IPv4",
            "order an IPv4 address from the provider",
        )
    if facts.address:
        return passed(f"{facts.address} on {facts.interface}")
    return failed(
        "no default route",
        "a default route: k3s takes the node's address from it",
        "ip route add default via GATEWAY",
    )


@dataclass(frozen=True)
class Networks:
    """What the host has addresses in or routes to, and what the config opens: (what it is, network)."""

    known: tuple[tuple[str, str], ...]
    ours: Mapping[str, str]
    at_first: tuple[str, ...]  # of pods and services; () before the first start


def look_networks(probe: Probe) -> Networks:
    facts = probe.facts
    known = [
        (f"this host's {facts.interface}", facts.address),
        *(("a resolver", one) for one in facts.resolvers),
    ]
    known += [(name if name != "-" else "a route", network) for name, network in facts.networks]
    known += [("egress_allow", one.network) for one in probe.member.egress_allow]
    return Networks(tuple(known), probe.member.networks.model_dump(), facts.inner_networks)


def judge_networks(found: Networks) -> Verdict:
    """Pods, services and builds have these networks for themselves; what else has such an address is reached by nobody here any more.

    A wider route, a provider's 10.0.0.0/8 for example, loses only that part of it, which is a warning.
    """
    ours = found.ours
    if found.at_first and (ours["pods"], ours["services"]) != found.at_first:
        pods, services = found.at_first
        return failed(
            f"pods have {pods} and services {services} since the first start",
            f"the same in the config, which says {ours['pods']} and {ours['services']}",
            f"networks: {{pods: {pods}, services: {services}}} in the config; or uninstall --purge, and install anew",
        )
    within, around = [], []
    for what, text in dict.fromkeys(found.known):
        for name, taken in ours.items():
            if not text or "%" in text or not ip_network(text, strict=False).overlaps(ip_network(taken)):
                continue
            if ip_network(text, strict=False).prefixlen >= ip_network(taken).prefixlen:
                within.append(f"{text} ({what}) lies in {taken} ({name})")
            else:
                around.append(f"{text} ({what}) holds {taken} ({name})")
    if not within and not around:
        return passed(", ".join(ours.values()))
    needed = f"nothing of this host in {', '.join(ours.values())}"
    if within:
        fix = "before the first install choose others, `networks` in the config; or take that network away: ip -4 addr; ip -4 route"
        return failed("; ".join(within), needed, fix)
    return warned(
        "; ".join(around), needed, "see that nothing this host needs has an address there: ip -4 route"
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
