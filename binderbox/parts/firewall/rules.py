"""The node's firewall as nftables text, from plain data: one table of ours, loaded before k3s, replaced atomically.

Who is told apart, and how
- *Untrusted*: every pod and every build step. All pods share one bridge and one network, and Kubernetes assigns
  addresses without regard to namespaces, so an address alone says nothing.
- *System pods* are the elements of the set `system_pods`, kept by binderbox-systempods.service from what the API
  server says of their namespace and labels. The set is empty at first: a new pod is untrusted until it is known, so
  whatever goes wrong with that service, users gain nothing by it. Drops are silent, so a system pod's first
  connection is repeated by TCP within a second and then passes.
- *Outside*: every other interface.

What makes it bite
- Pod to pod is bridged, not routed; it passes these hooks because of net.bridge.bridge-nf-call-iptables=1.
- Destinations are seen after the DNAT of kube-proxy and of hostPorts. So the resolver and the ingress are recognised
  by what the connection was first addressed to (`ct original`), and only if a DNAT took place.
- A drop here is final, whatever other tables accept; an accept here leaves the last word to them.
- `egress_allow` can open private networks, never this node, its pods, or link-local (metadata) addresses.
- What comes from pods and builds, or goes to them, is marked on its way in here. The backstop (backstop_rules.py), which
  no flush takes away, lets nothing pass without the mark.

Host ports and the masquerading of pods and builds stand here a second time: CNI writes its own once, when a pod or a build
starts, and a flush takes them for good.

Design: section 5. Which addresses are public: addresses.py. The units: units.py.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network

from binderbox import layout
from binderbox.decide.facts import HostFacts
from binderbox.layout import BUILD_INTERFACE, CANARY_INTERFACE, POD_INTERFACE
from binderbox.member.model import EgressAllow, IngressAllow, Member, ObjectStore
from binderbox.parts.firewall.addresses import (
    METADATA_4,
    METADATA_6,
    NOT_PUBLIC_4,
    NOT_PUBLIC_6,
    PUBLIC_6,
    PUBLIC_TCP_PORTS,
)
from binderbox.parts.firewall.names import (
    BINDER_PODS_SET,
    HOST_PORTS_MAP,
    SOURCES_SET,
    SYSTEM_PODS_SET,
    TABLE,
)
from binderbox.parts.firewall.spread import questions, spread_chains, spread_sets
from binderbox.parts.firewall.words import braces, family

PASSED = "0x02000000"  # one bit of the packet's mark; kube-proxy has 0x4000 and 0x8000, portmap 0x2000
PASS = f"meta mark set meta mark or {PASSED}"
# The loopback's own addresses cannot be translated to a pod's without more than this.
HOST_PORT_RULE = f"fib daddr type local ip daddr != 127.0.0.0/8 dnat ip to tcp dport map @{HOST_PORTS_MAP}"
CLAMP = "tcp flags & (syn | rst) == syn tcp option maxseg size set rt mtu"

API_PORT = 6443
BINDERS_PORTS = (5000, 8000, 8081)  # of the registry's, the proxy's and the hub's pods


@dataclass(frozen=True)
class FirewallInputs:
    """Everything the rules depend on; networks and addresses as text, ports are TCP.

    The node's own addresses are not among them: what is for the node goes through the input hook, whatever its
    address, so that an address that comes or goes needs no new rules. `store` is where the config's own object store is, for
    the member's pods alone.
    """

    pod_cidr: str
    service_cidr: str
    build_cidr: str
    cluster_dns: str
    resolvers: tuple[str, ...]
    egress_allow: tuple[EgressAllow, ...] = ()
    ingress_allow: tuple[IngressAllow, ...] = ()
    store: EgressAllow | None = None
    pod_interface: str = POD_INTERFACE
    build_interface: str = BUILD_INTERFACE
    ingress_ports: tuple[int, ...] = (80, 443)
    sample_port: int = 9418
    ssh_ports: tuple[int, ...] = (22,)


def make_inputs(member: Member, facts: HostFacts) -> FirewallInputs:
    """What the rules are made from on one host."""
    return FirewallInputs(
        pod_cidr=member.networks.pods,
        service_cidr=member.networks.services,
        build_cidr=member.networks.builds,
        cluster_dns=member.networks.cluster_dns,
        resolvers=facts.resolvers,
        egress_allow=member.egress_allow,
        ingress_allow=member.ingress_allow,
        store=_store(member.object_store),
        ingress_ports=(member.http_port, member.https_port),
        sample_port=layout.SAMPLE_PORT,
        ssh_ports=facts.ssh_ports,
    )


def _store(store: ObjectStore | None) -> EgressAllow | None:
    if store is None or store.network is None:
        return None
    return EgressAllow(network=store.network, ports=(store.port,))


def render_ruleset(inputs: FirewallInputs) -> str:
    """Render the whole table; `nft -f` replaces the old one in one step."""
    pods, builds = f'"{inputs.pod_interface}"', f'"{inputs.build_interface}"'
    ours = f"{{ {pods}, {builds} }}"
    never_4 = (inputs.pod_cidr, inputs.service_cidr, inputs.build_cidr, *METADATA_4)
    gateway = ip_network(inputs.pod_cidr)[1]
    ingress = (
        f"meta l4proto tcp ct status dnat ct original proto-dst {_ports(inputs.ingress_ports)} "
        f"ct original ip daddr != {inputs.service_cidr}"
    )
    return f"""\
# Made by binderbox; changes here are overwritten. What it does and why: docs/operations.md
table inet {TABLE}
delete table inet {TABLE}
table inet {TABLE} {{
    # Addresses of pods that are part of the member; binderbox-systempods.service keeps them. Not in it: untrusted.
    set {SYSTEM_PODS_SET} {{
        type ipv4_addr
    }}
    # BinderHub's among them: it asks the address of every repository that anybody names.
    set {BINDER_PODS_SET} {{
        type ipv4_addr
    }}
    # Pods, services and builds of this node, and metadata addresses: nothing in the config opens these.
{_set("never_4", "ipv4_addr", never_4)}
{_set("never_6", "ipv6_addr", METADATA_6)}
{_set("not_public_4", "ipv4_addr", NOT_PUBLIC_4)}
{_set("not_public_6", "ipv6_addr", NOT_PUBLIC_6)}

    # Ports of the node that are a system pod's, with its address and port; the same service keeps them.
    map {HOST_PORTS_MAP} {{
        type inet_service : ipv4_addr . inet_service
    }}

{spread_sets()}

    chain services {{
        # Before a service becomes a pod of the same bridge: a reset of a bridged connection is not translated back
        # (nf_send_reset of br_netfilter), and nobody would take it for an answer.
        type filter hook prerouting priority dstnat - 10; policy accept;
        iifname {ours} ct state new ip daddr {inputs.service_cidr} jump to_service
    }}

    chain to_service {{
        ip daddr {inputs.cluster_dns} meta l4proto {{ tcp, udp }} th dport 53 accept
        iifname {pods} ip saddr @{SYSTEM_PODS_SET} accept
        goto refuse
    }}

    chain prerouting {{
        type nat hook prerouting priority dstnat - 5; policy accept;
        {HOST_PORT_RULE}
    }}

    chain output_nat {{
        type nat hook output priority -105; policy accept;
        {HOST_PORT_RULE}
    }}

    chain postrouting {{
        type nat hook postrouting priority srcnat - 5; policy accept;
        # What CNI writes once for each pod and each build, too.
        oifname != {ours} ip saddr {{ {inputs.pod_cidr}, {inputs.build_cidr} }} masquerade
    }}

    chain input {{
        type filter hook input priority filter - 5; policy accept;
        iifname "lo" accept
        iifname {ours} {PASS} goto from_inside_to_node
{outside_to_node(inputs)}
    }}

    chain output {{
        type filter hook output priority filter + 5; policy accept;
        # A service that does not exist (yet) is not translated: a push, and its credential, would leave by the
        # default route in plain HTTP.
        ip daddr {inputs.service_cidr} counter drop
    }}

    chain forward {{
        type filter hook forward priority filter - 5; policy accept;
        # Pods and builds do not know of a narrower way out (OpenStack, a VPN), and answers too big for it never come.
        {CLAMP}
        iifname {ours} {PASS} goto from_inside
        oifname {ours} {PASS} goto from_outside_to_pods
    }}

    chain from_inside_to_node {{
        jump forged_source
        ct state established,related accept
        # Neighbour discovery, without which IPv6 does not work at all.
        icmpv6 type {{ nd-neighbor-solicit, nd-neighbor-advert, nd-router-solicit }} accept
        # The API server, for the hub, BinderHub and coredns: its service address arrives here after DNAT.
        iifname {pods} ip saddr @{SYSTEM_PODS_SET} tcp dport {API_PORT} accept
        # coredns asks a resolver that runs on this node.
        iifname {pods} ip saddr @{SYSTEM_PODS_SET} meta l4proto {{ tcp, udp }} th dport 53 accept
        # The sample repository, which listens only while an install is being proved.
        iifname {pods} ip daddr {gateway} tcp dport {inputs.sample_port} accept
        goto refuse
    }}

    chain from_inside {{
        jump forged_source
        {questions()}
        ct state established,related accept
        # The cluster's resolver, and no other.
        meta l4proto {{ tcp, udp }} ct status dnat ct original ip daddr {inputs.cluster_dns} ct original proto-dst 53 accept
        # The member's own public address: a hostPort, by DNAT. Services of the cluster are not meant.
        {ingress} accept
        iifname {pods} ip saddr @{SYSTEM_PODS_SET} goto from_system_pod
        goto to_public
    }}

    chain from_system_pod {{
        # Registry, proxy and hub, and no other pod: not the object store, nor a user's server.
        oifname {pods} ip saddr @{BINDER_PODS_SET} tcp dport {_ports(BINDERS_PORTS)} ip daddr @{SYSTEM_PODS_SET} accept
        oifname {pods} ip saddr @{BINDER_PODS_SET} goto refuse
        # Hub to user servers, ingress to hub, BinderHub to registry, registry to object store.
        oifname {pods} ip daddr {inputs.pod_cidr} accept
        # A service without a pod behind it (one that restarts, or a wrong port) is not translated. kube-proxy would say
        # no at once; a silent drop here costs BinderHub 20 s for each of three tries.
        ip daddr {{ {inputs.service_cidr}, {inputs.pod_cidr} }} meta l4proto tcp counter reject with tcp reset
        ip daddr {{ {inputs.service_cidr}, {inputs.pod_cidr} }} counter reject
        # What BinderHub asks is anybody's word: neither the node's resolvers nor the store.
        ip saddr @{BINDER_PODS_SET} goto to_public
{_resolver_rules(inputs.resolvers)}
{_store_rule(inputs.store)}
        goto to_public
    }}

    chain to_public {{
        ip daddr @never_4 goto refuse
        ip6 daddr @never_6 goto refuse
        # What a proof scans, while there is one.
        oifname "{CANARY_INTERFACE}" tcp dport {_ports(PUBLIC_TCP_PORTS)} goto public
{_egress_rules(inputs.egress_allow)}
        ip daddr @not_public_4 goto refuse
        ip6 daddr != {PUBLIC_6} goto refuse
        ip6 daddr @not_public_6 goto refuse
        # http, https, git
        tcp dport {_ports(PUBLIC_TCP_PORTS)} goto public
        goto refuse
    }}

{spread_chains(pods)}

    chain from_outside_to_pods {{
        ct direction reply tcp flags & (syn | ack) == syn | ack jump answers
        ct state established,related accept
        # The ingress. A neighbour who routes the cluster's own networks through this node gets no further.
        {ingress} accept
        meta nfproto ipv6 meta l4proto tcp ct status dnat ct original proto-dst {_ports(inputs.ingress_ports)} accept
        counter drop
    }}

    chain forged_source {{
        # A build step is root and may write any sender; on its own bridge only.
        iifname {pods} meta nfproto ipv4 ip saddr != {inputs.pod_cidr} counter drop
        iifname {builds} meta nfproto ipv4 ip saddr != {inputs.build_cidr} counter drop
        # Nor a neighbour's, whose allowance it would use up, or one that nobody has, with an allowance of its own.
        iifname {builds} meta nfproto ipv4 ip saddr . ether saddr != @{SOURCES_SET} counter drop
    }}
}}
"""


def outside_to_node(inputs: FirewallInputs) -> str:
    """What may come to the node from other machines: the end of a chain of the input hook."""
    return f"""\
        # Before everything else: no drop matches ssh on the ports that it had at the last install.
        tcp dport {_ports(inputs.ssh_ports)} accept
        ct state established,related accept
        meta l4proto {{ icmp, ipv6-icmp }} accept
        # Address assignment: its answers may come to a broadcast address, which no connection is known for.
        udp sport 67 udp dport 68 accept
        ip6 saddr fe80::/10 udp dport 546 accept
        tcp dport {_ports(inputs.ingress_ports)} accept
{_ingress_rules(inputs.ingress_allow)}
        # Everything else from outside, 6443 and the kubelet included.
        counter drop"""


def _set(name: str, kind: str, elements: Sequence[str]) -> str:
    # auto-merge: one element may lie inside another
    rows = [f"    set {name} {{", f"        type {kind}", "        flags interval", "        auto-merge"]
    rows += [f"        elements = {{ {', '.join(elements)} }}"] if elements else []
    return "\n".join([*rows, "    }"])


def _resolver_rules(resolvers: Iterable[str]) -> str:
    rows = []
    for text in dict.fromkeys(resolvers):
        address = ip_address(text.partition("%")[0])
        if address.is_loopback or address.version != 4:
            continue  # a stub of the node itself; and pods have IPv4 only, so coredns cannot ask others
        rows.append(f"        ip daddr {address} meta l4proto {{ tcp, udp }} th dport 53 accept")
    return "\n".join(["        # coredns to the resolvers of this host.", *rows])


def _egress_rules(allowed: Iterable[EgressAllow]) -> str:
    rows = ["        # egress_allow of the config."]
    for one in allowed:
        network = ip_network(one.network)
        rows.append(f"        {family(network)} daddr {network} tcp dport {_ports(one.ports)} goto public")
    return "\n".join(rows)


def _store_rule(store: EgressAllow | None) -> str:
    rows = ["        # The config's own object store, where it is not public."]
    if store:
        network = ip_network(store.network)
        rows.append("        ip daddr @never_4 goto refuse")
        rows.append(f"        {family(network)} daddr {network} tcp dport {_ports(store.ports)} accept")
    return "\n".join(rows)


def _ingress_rules(allowed: Iterable[IngressAllow]) -> str:
    rows = ["        # ingress_allow of the config."]
    for one in allowed:
        source = ""
        if one.network:
            source = f"{family(one.network)} saddr {one.network} "
        rows.append(f"        {source}{one.protocol} dport {_ports(one.ports)} accept")
    return "\n".join(rows)


def _ports(ports: Iterable[int]) -> str:
    return braces(sorted(set(ports)))
