"""The rules as text, as nft reads them, and above all what they let through between real namespaces."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, ip_network
from pathlib import Path

import pytest

from binderbox.member.model import EgressAllow, IngressAllow
from binderbox.parts.firewall import backstop
from binderbox.parts.firewall.addresses import NOT_PUBLIC_4
from binderbox.parts.firewall.backstop_rules import render_backstop
from binderbox.parts.firewall.rules import FirewallInputs, render_ruleset
from tests.netns import Target, World, missing
from tests.places import ROOT

GOLDEN = Path(__file__).parent / "firewall.nft"

# Public addresses here exist only inside the namespaces of these tests.
NODE, NODE6 = "45.9.9.7", "2a00:9::7"
PUBLIC, PUBLIC6 = "45.1.2.3", "2a00:1::3"
INPUTS = FirewallInputs(
    pod_cidr="10.42.0.0/16",
    service_cidr="10.43.0.0/16",
    build_cidr="10.44.0.0/16",
    cluster_dns="10.43.0.10",
    resolvers=("192.0.2.53", "127.0.0.53", "2001:db8::53"),
    egress_allow=(
        EgressAllow(network="203.0.113.0/24", ports=(443, 3128)),
        # Careless, and still no way to the node, its pods or a metadata address:
        EgressAllow(network="10.0.0.0/8", ports=(6443, 9000)),
        EgressAllow(network="fd00::/16", ports=(443,)),
        EgressAllow(network="100.64.0.0/10", ports=(80,)),
    ),
    ingress_allow=(
        IngressAllow(protocol="udp", ports=(51820,)),
        IngressAllow(network="45.9.9.0/24", ports=(9100,)),
        IngressAllow(network="192.0.2.0/24", ports=(9101,)),
    ),
)


def test_the_text_is_the_golden_one() -> None:
    text = render_ruleset(INPUTS)
    if os.environ.get("WRITE_GOLDENS"):
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_resolvers_of_the_node_itself_open_nothing() -> None:
    assert "127.0.0.53" not in render_ruleset(INPUTS)


def test_ssh_ports_are_accepted_before_any_drop_from_outside() -> None:
    text = render_ruleset(replace(INPUTS, ssh_ports=(2222, 22)))
    chain = text[text.index("chain input") : text.index("chain forward")]
    assert chain.index("tcp dport { 22, 2222 } accept") < chain.index("drop\n")


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("nft"), reason="needs root and nft")
@pytest.mark.parametrize(
    "inputs",
    [
        INPUTS,
        replace(INPUTS, resolvers=(), egress_allow=()),
        replace(INPUTS, egress_allow=(EgressAllow(network="fd00:1::/32", ports=(443,)),)),
    ],
)
def test_nft_accepts_the_text_and_loads_it_twice(inputs: FirewallInputs) -> None:
    load = "nft -f - <<EOF\n" + render_ruleset(inputs) + "EOF\n"
    script = f"set -e\n{load}{load}nft list tables"
    done = subprocess.run(["unshare", "-n", "sh"], input=script, capture_output=True, text=True, check=False)
    assert done.stdout == "table inet binderbox\n", done.stderr


OPEN_S, CLOSED_S = 8.0, 1.5  # how long an answer may take on a busy machine; how long silence is listened to
STEPS = {"build": "10.44.0.5", "build2": "10.44.0.6"}
PODS = {"user": 20, "hub": 21, "coredns": 22, "s3": 23, "traefik": 24, "other": 25, "binder": 26}
# kube-proxy's services and a hostPort, as plain NAT: what the rules must recognise by its first address.
HOST_PORTS = """
        fib daddr type local tcp dport 80 dnat to 10.42.0.24:8000
        fib daddr type local tcp dport 443 dnat to 10.42.0.24:8443
"""
NAT = f"""
table ip nat {{
    chain prerouting {{
        type nat hook prerouting priority dstnat;
        ip daddr 10.43.0.10 udp dport 53 dnat to 10.42.0.22
        ip daddr 10.43.0.10 tcp dport 53 dnat to 10.42.0.22
        ip daddr 10.43.0.1 tcp dport 443 dnat to {NODE}:6443
        ip daddr 10.43.0.50 tcp dport 5000 dnat to 10.42.0.23
        ip daddr 10.43.0.60 tcp dport 80 dnat to 10.42.0.21:8081
        {HOST_PORTS.strip()}
        fib daddr type local tcp dport 30080 dnat to 10.42.0.21:8081
    }}
    chain output {{
        type nat hook output priority -100;
        ip daddr 10.43.0.50 tcp dport 5000 dnat to 10.42.0.23
    }}
    chain postrouting {{
        type nat hook postrouting priority srcnat;
        ip saddr 10.42.0.0/16 ip daddr 10.42.0.0/16 oifname "cni0" ct status dnat masquerade
    }}
}}
"""


NARROW_MTU = 1300
SERVE = """
import socket
with socket.create_server(("0.0.0.0", 8888)) as server:
    print("ready", flush=True)
    peer, _ = server.accept()
    print(peer.getsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG), flush=True)
"""
CONNECT = "import socket, sys; socket.create_connection((sys.argv[1], 8888), 5).recv(1)"


@dataclass(frozen=True)
class Seen:
    """Who reached what: without the firewall and with it, flushed, loaded again, and after the hub left the set."""

    open: dict[str, dict[Target, bool]]
    guarded: dict[str, dict[Target, bool]]
    flushed: dict[str, dict[Target, bool]]
    again: dict[str, dict[Target, bool]]
    forgotten: dict[Target, bool]
    forged: str
    nobody: dict[str, str]
    refused: dict[tuple[str, str], str]


def tcp(address: str, port: int) -> Target:
    return ("tcp", address, port)


def udp(address: str, port: int) -> Target:
    return ("udp", address, port)


TO_PUBLIC = [tcp(PUBLIC, 80), tcp(PUBLIC, 443), tcp(PUBLIC, 9418)]
RESOLVER = [udp("10.43.0.10", 53), tcp("10.43.0.10", 53)]
MIRROR = [tcp("203.0.113.9", 443), tcp("10.77.0.1", 9000), tcp("100.64.9.9", 80)]
MIRROR_V6 = [tcp("fd00:7::3", 443)]
INGRESS = [tcp(NODE, 443), tcp(NODE, 80)]
PING = [("icmp", "10.42.0.1", 0), ("icmp", PUBLIC, 0)]
API = [tcp("10.43.0.1", 443), tcp(NODE, 6443), tcp("10.42.0.1", 6443)]
NEVER_INSIDE = [
    tcp(PUBLIC, 25),
    tcp(PUBLIC, 22),
    tcp(PUBLIC, 8080),
    udp(PUBLIC, 53),
    tcp("169.254.169.254", 80),
    tcp("10.99.0.1", 443),
    tcp("172.16.7.7", 443),
    tcp("192.168.5.5", 443),
    tcp("100.64.9.9", 443),
    tcp("100.100.100.200", 80),
    tcp("168.63.129.16", 80),
    tcp("203.0.113.9", 8443),
    tcp(NODE, 22),
    tcp(NODE, 10250),
    tcp("10.42.0.1", 10250),
]
IN_CLUSTER = [
    tcp("10.42.0.23", 9000),
    tcp("10.42.0.23", 5000),
    tcp("10.43.0.50", 5000),
    tcp("10.43.0.60", 80),
    tcp("10.42.0.21", 8081),
    tcp("10.42.0.25", 8888),
]
HOST_RESOLVER = [udp("192.0.2.53", 53), tcp("192.0.2.53", 53), tcp(NODE, 53)]
SAMPLE = [tcp("10.42.0.1", 9418)]
PUBLIC_V6 = [tcp(PUBLIC6, 443)]
NEVER_V6 = [
    tcp(PUBLIC6, 25),
    tcp("fd01:9::3", 443),
    tcp("fd00:ec2::254", 443),
    tcp("2001:db8:5::1", 443),
    tcp("2002:a01:203::1", 443),
    tcp(NODE6, 6443),
    tcp(NODE6, 10250),
]
SSH = [tcp(NODE, 22), tcp(NODE6, 22)]
MISSING_SERVICE = tcp("10.43.0.51", 443)  # no rule translates it, and the default route would take it outside
ASK = """
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), 1.5)
except OSError as error:
    print(type(error).__name__)
"""
NODE_ITSELF = [
    tcp("10.43.0.50", 5000),
    tcp("127.0.0.1", 6443),
    tcp(NODE, 6443),
    tcp(PUBLIC, 443),
    tcp("10.42.0.23", 9000),
    tcp(PUBLIC6, 443),
]
INGRESS_ALLOWED = [tcp(NODE, 9100), udp(NODE, 51820), udp(NODE6, 51820)]
OUTSIDE_NEVER = [
    tcp(NODE, 9101),
    tcp(NODE, 6443),
    tcp(NODE, 10250),
    tcp(NODE, 30080),
    tcp(NODE6, 6443),
    tcp("10.42.0.23", 9000),
    tcp("10.43.0.60", 80),
    udp("10.43.0.10", 53),
    tcp("10.44.0.5", 8888),
]

ALLOWED: dict[str, list[Target]] = {
    "user": [*TO_PUBLIC, *RESOLVER, *MIRROR, *INGRESS, *SAMPLE, *PUBLIC_V6, *MIRROR_V6],
    "build": [*TO_PUBLIC, *RESOLVER, *MIRROR, *INGRESS],
    "hub": [
        *TO_PUBLIC,
        *RESOLVER,
        *MIRROR,
        *INGRESS,
        *SAMPLE,
        *API,
        *IN_CLUSTER[:4],
        IN_CLUSTER[5],
        *HOST_RESOLVER,
    ],
    "binder": [*TO_PUBLIC, *RESOLVER, *API, tcp("10.43.0.50", 5000), tcp("10.42.0.21", 8081), *SAMPLE],
    "world": [*INGRESS, *SSH, tcp(NODE6, 80), ("icmp", NODE, 0), ("dhcp", NODE, 68), *INGRESS_ALLOWED],
    "node": NODE_ITSELF,
}
REFUSED: dict[str, list[Target]] = {
    "user": [*NEVER_INSIDE, *PING, *API, *IN_CLUSTER, *HOST_RESOLVER, *NEVER_V6],
    "build": [*NEVER_INSIDE, *API, *IN_CLUSTER, *HOST_RESOLVER, *SAMPLE, tcp("10.44.0.6", 8888)],
    "hub": NEVER_INSIDE,
    "binder": [*NEVER_INSIDE, tcp("10.42.0.23", 9000), tcp("10.42.0.25", 8888), tcp("10.42.0.20", 8888)],
    "world": OUTSIDE_NEVER,
    "node": [MISSING_SERVICE],
}


def build_world(world: World) -> None:
    """A node with a pod bridge, a build bridge and an uplink; behind the uplink, everything there is to reach."""
    for name in ("node", "world", *PODS, "build", "build2"):
        world.add(name)
    world.sysctl("node", **{"net__ipv4__ip_forward": 1, "net__ipv6__conf__all__forwarding": 1})
    for bridge, address in (("cni0", "10.42.0.1/22"), ("bbxbuild0", "10.44.0.1/16")):
        world.ip("node", f"link add {bridge} type bridge")
        world.ip("node", f"addr add {address} dev {bridge}")
        world.ip("node", f"link set {bridge} up")
    world.sysctl(
        "node", **{"net__bridge__bridge-nf-call-iptables": 1, "net__bridge__bridge-nf-call-ip6tables": 1}
    )
    world.ip("node", "-6 addr add 2a00:42::1/64 dev cni0 nodad")
    places = [(name, "cni0", f"10.42.0.{last}/22", "10.42.0.1") for name, last in PODS.items()]
    places += [(name, "bbxbuild0", f"{address}/16", "10.44.0.1") for name, address in STEPS.items()]
    for name, bridge, address, gateway in places:
        world.link("node", f"v-{name}", name, "eth0")
        world.ip("node", f"link set v-{name} master {bridge}")
        world.run("node", "bridge", "link", "set", "dev", f"v-{name}", "hairpin", "on")
        world.ip(name, f"addr add {address} dev eth0")
        world.ip(name, f"route add default via {gateway}")
    world.ip("user", "-6 addr add 2a00:42::20/64 dev eth0 nodad")
    world.ip("user", "-6 route add default via 2a00:42::1")
    world.link("node", "eth0", "world", "eth0")
    world.ip("node", f"addr add {NODE}/24 dev eth0")
    world.ip("node", f"-6 addr add {NODE6}/64 dev eth0 nodad")
    world.ip("world", "addr add 45.9.9.1/24 dev eth0")
    world.ip("world", "-6 addr add 2a00:9::1/64 dev eth0 nodad")
    world.ip("node", "route add default via 45.9.9.1")
    world.ip("node", "-6 route add default via 2a00:9::1")
    for cluster in ("10.42.0.0/16", "10.43.0.0/16", "10.44.0.0/16"):
        world.ip("world", f"route add {cluster} via {NODE}")
    world.ip("world", f"-6 route add 2a00:42::/64 via {NODE6}")
    elsewhere = {target[1] for targets in (*ALLOWED.values(), *REFUSED.values()) for target in targets}
    for address in sorted(elsewhere - {NODE, NODE6}):
        if ":" in address:
            world.ip("world", f"-6 addr add {address}/128 dev lo nodad")
        elif not address.startswith(("10.42.", "10.43.", "10.44.")):
            world.ip("world", f"addr add {address}/32 dev lo")
    world.run("node", "nft", "-f", "-", text=NAT)
    # What was let through before the rules came must not count as a known connection after.
    world.sysctl(
        "node", net__netfilter__nf_conntrack_udp_timeout=1, net__netfilter__nf_conntrack_icmp_timeout=1
    )
    world.sysctl("node", net__netfilter__nf_conntrack_udp_timeout_stream=1)
    world.ip("world", f"addr add {MISSING_SERVICE[1]}/32 dev lo")
    tcp_ports = (22, 25, 53, 80, 443, 8080, 8443, 9000, 9418)
    world.listen("world", *(("tcp", port) for port in tcp_ports))
    world.listen("world", ("udp", 53, PUBLIC), ("udp", 53, "192.0.2.53"))
    world.listen("node", *(("tcp", port) for port in (22, 53, 80, 6443, 9100, 9101, 9418, 10250)))
    world.listen("node", ("udp", 68), ("udp", 51820))
    world.listen("coredns", ("udp", 53), ("tcp", 53))
    world.listen("s3", ("tcp", 9000), ("tcp", 5000))
    world.listen("traefik", ("tcp", 8000), ("tcp", 8443))
    world.listen("hub", ("tcp", 8081))
    for name in ("user", "other", "build", "build2"):
        world.listen(name, ("tcp", 8888))


def load_all(world: World, nat: str) -> None:
    """What the node has when all is well: the firewall with what the keeper knows, and kube-proxy's services."""
    world.run("node", "nft", "-f", "-", text=nat + render_ruleset(INPUTS))
    links = {name: json.loads(world.ip(name, "-j link show dev eth0"))[0]["address"] for name in STEPS}
    known = f"""
        add element inet binderbox step_sources {{ {", ".join(f"{STEPS[n]} . {links[n]}" for n in links)} }}
        add element inet binderbox groups {{ 10.42.0.20 : 2, 10.42.0.25 : 3, 10.44.0.5 : 4, 10.44.0.6 : 5 }}
        add element inet binderbox system_pods {{ 10.42.0.21, 10.42.0.22, 10.42.0.23, 10.42.0.24, 10.42.0.26 }}
        add element inet binderbox binder_pods {{ 10.42.0.26 }}
        add element inet binderbox host_ports {{ 80 : 10.42.0.24 . 8000, 443 : 10.42.0.24 . 8443 }}
    """
    world.run("node", "nft", "-f", "-", text=known)


def start_backstop(world: World, folder: Path) -> None:
    (folder / "backstop.nft").write_text(render_backstop(INPUTS))
    words = ["-m", backstop.__name__, "--table", str(folder / "backstop.nft"), "--told", str(folder)]
    program = subprocess.Popen(
        ["ip", "netns", "exec", world.full("node"), sys.executable, *words],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, cwd=ROOT,
    )  # fmt: skip
    world.listeners.append(program)
    assert program.stdout is not None
    assert program.stdout.readline().endswith("backstop.nft: loaded\n")


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Seen]:
    reason = missing("nft", "sysctl", "bridge", "unshare")
    if reason:
        pytest.skip(reason)
    with World() as world:
        build_world(world)
        before = {who: world.reach(who, [*ALLOWED[who], *REFUSED[who]], OPEN_S) for who in ALLOWED}
        world.run("node", "nft", "flush", "ruleset")
        load_all(world, NAT)
        start_backstop(world, tmp_path_factory.mktemp("backstop"))
        after = {who: world.reach(who, targets, OPEN_S) for who, targets in ALLOWED.items()}
        for who, targets in REFUSED.items():
            after[who] |= world.reach(who, targets, CLOSED_S) if targets else {}
        # Another program's flush; what kube-proxy and portmap have may well be back before ours is.
        world.run("node", "nft", "flush", "ruleset")
        world.run("node", "nft", "-f", "-", text=NAT)
        flushed = {who: world.reach(who, [*ALLOWED[who], *REFUSED[who]], CLOSED_S) for who in ALLOWED}
        world.run("node", "nft", "flush", "ruleset")
        load_all(world, NAT.replace(HOST_PORTS.strip(), ""))
        again = {who: world.reach(who, INGRESS, OPEN_S) for who in ("user", "build", "hub", "world", "node")}
        nobody = {
            who: world.run(who, sys.executable, "-c", ASK, MISSING_SERVICE[1], "443").strip()
            for who in ("hub", "user")
        }
        refused = {
            (who, address): world.run(who, sys.executable, "-c", ASK, address, port).strip()
            for who in ("user", "build")
            for address, port in (
                ("10.43.0.50", "5000"),
                ("10.42.0.23", "5000"),
                (NODE, "10250"),
                (PUBLIC, "25"),
            )
        }
        world.run("node", "nft", "delete element inet binderbox system_pods { 10.42.0.21 }")
        forgotten = world.reach("hub", [*API, *IN_CLUSTER], CLOSED_S)
        world.ip("user", "addr add 10.44.0.99/32 dev eth0")
        world.ip("user", f"route add {PUBLIC}/32 via 10.42.0.1 src 10.44.0.99")
        world.reach("user", [tcp(PUBLIC, 443)], CLOSED_S)
        forged = world.run("node", "nft", "list", "chain", "inet", "binderbox", "forged_source")
        yield Seen(before, after, flushed, again, forgotten, forged, nobody, refused)


def cases(table: dict[str, list[Target]]) -> list[tuple[str, Target]]:
    return [(who, target) for who, targets in table.items() for target in targets]


def test_without_the_rules_everything_is_within_reach(seen: Seen) -> None:
    closed = {who: [target for target, ok in found.items() if not ok] for who, found in seen.open.items()}
    assert closed == {who: [] for who in ALLOWED}


@pytest.mark.parametrize(("who", "target"), cases(ALLOWED))
def test_is_let_through(seen: Seen, who: str, target: Target) -> None:
    assert seen.guarded[who][target]


@pytest.mark.parametrize(("who", "target"), cases(REFUSED))
def test_is_stopped(seen: Seen, who: str, target: Target) -> None:
    assert not seen.guarded[who][target]


def test_a_service_without_a_pod_refuses_at_once(seen: Seen) -> None:
    """A registry that restarts would cost each launch a minute: BinderHub tries three times, 20 s each."""
    assert seen.nobody == {"hub": "ConnectionRefusedError", "user": "ConnectionRefusedError"}


def test_what_is_refused_is_refused_at_once(seen: Seen) -> None:
    """A service among them, though it is a pod of the same bridge by then."""
    assert seen.refused == dict.fromkeys(seen.refused, "ConnectionRefusedError")


def test_a_pod_that_is_no_longer_known_is_untrusted(seen: Seen) -> None:
    reached = [target for target, ok in seen.forgotten.items() if ok and target[1] != "10.42.0.21"]
    assert reached == []


def test_a_forged_sender_is_stopped(seen: Seen) -> None:
    counted = [line for line in seen.forged.splitlines() if '"cni0"' in line]
    assert len(counted) == 1
    assert "packets 0 " not in counted[0]


@pytest.mark.parametrize("who", ["user", "build", "hub"])
def test_flushed_by_another_program_nothing_new_is_reached(seen: Seen, who: str) -> None:
    assert [target for target, ok in seen.flushed[who].items() if ok] == []


def test_flushed_the_node_is_as_closed_to_the_outside_and_its_operator_is_not_locked_out(seen: Seen) -> None:
    reached = {target for target, ok in seen.flushed["world"].items() if ok}
    assert reached == {*SSH, tcp(NODE6, 80), ("icmp", NODE, 0), ("dhcp", NODE, 68), *INGRESS_ALLOWED}
    assert all(seen.flushed["node"][target] for target in NODE_ITSELF)
    assert not seen.flushed["node"][MISSING_SERVICE]


def test_the_ingress_is_reached_where_only_the_firewall_knows_its_host_ports(seen: Seen) -> None:
    assert seen.again == {who: dict.fromkeys(INGRESS, True) for who in seen.again}


@pytest.mark.parametrize("who", ["user", "build"])
def test_answers_are_no_bigger_than_the_uplink_takes(who: str) -> None:
    """A network with a narrower way out (OpenStack, a VPN) swallows what is bigger, and often says nothing."""
    if reason := missing("nft", "sysctl", "bridge"):
        pytest.skip(reason)
    with World() as world:
        build_world(world)
        load_all(world, NAT)
        world.ip("node", f"link set eth0 mtu {NARROW_MTU}")
        world.run("node", "nft", "insert rule inet binderbox to_public tcp dport 8888 accept")
        server = subprocess.Popen(
            ["ip", "netns", "exec", world.full("world"), sys.executable, "-c", SERVE],
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        world.listeners.append(server)
        assert server.stdout is not None
        assert server.stdout.readline() == "ready\n"
        world.run(who, sys.executable, "-c", CONNECT, PUBLIC)
        assert 0 < int(server.stdout.readline()) <= NARROW_MTU - 40


def test_every_network_that_is_not_global_is_in_the_list() -> None:
    listed = [ip_network(text) for text in NOT_PUBLIC_4]
    for first in range(
        0, 2**32, 2**22 - 4093
    ):  # a step that visits every /10 and lands inside odd ranges too
        address = IPv4Address(first)
        if not address.is_global:
            assert any(address in network for network in listed), address
