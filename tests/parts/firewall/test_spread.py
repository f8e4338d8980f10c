"""Scans from pods and builds, and honest work, between real namespaces: what leaves, and what is refused.

The Internet here is a namespace that answers at each address of one network, and at none of another.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from ipaddress import ip_address
from types import SimpleNamespace
from typing import Any, cast

import pytest

from binderbox.launch.reach import forbidden_targets
from binderbox.layout import CANARY_INTERFACE, CANARY_NETWORK
from binderbox.member.model import Networks
from binderbox.parts.builder.units import FEW_4, FEW_6, render_fetches
from binderbox.parts.firewall.rules import render_ruleset
from binderbox.parts.guard.values import THRESHOLD
from tests.netns import World, missing
from tests.parts.builder.test_settings import INPUTS as BUILDER
from tests.parts.firewall.test_rules import INPUTS, NODE

ANSWERS, SILENT = "45.64.0.0", "45.80.0.0"  # each a /16
MOST = 40  # distinct addresses that a scan may reach
GROUP = "0x5eed"
PODS = {f"user{n}": f"10.42.0.{30 + n}" for n in range(5)}
BUILD = "10.44.0.5"
# One process for all connections, or one for each; prints how many were let through, refused, and got no answer.
ASK = """
import collections, errno, json, os, select, socket, sys, time
targets, per_second, forked = json.loads(sys.argv[1]), float(sys.argv[2]), sys.argv[3] == "forked"
def ask(target, wait_s):
    with socket.socket() as sock:
        sock.settimeout(wait_s)
        return errno.errorcode.get(sock.connect_ex(tuple(target)), "ok").replace("0", "ok")
began, open_, said = time.monotonic(), [], collections.Counter()
for n, target in enumerate(targets):
    time.sleep(max(0, began + n / per_second - time.monotonic()))
    if forked:
        if os.fork() == 0:
            ask(target, 0.2)
            os._exit(0)
        continue
    sock = socket.socket()
    sock.setblocking(False)
    sock.connect_ex(tuple(target))
    open_.append(sock)
while forked and os.wait and n >= 0:
    os.wait()
    n -= 1
deadline = time.monotonic() + 1.5
while open_ and time.monotonic() < deadline:
    for sock in select.select([], open_, [], 0.1)[1]:
        code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        said[errno.errorcode[code] if code else "ok"] += 1
        open_.remove(sock)
        sock.close()
said["none"] = len(open_)
print(json.dumps(said))
"""
SEEN = """
table inet seen {
    set asked { type ipv4_addr; size 65536; flags dynamic; }
    chain prerouting {
        type filter hook prerouting priority raw; policy accept;
        tcp flags & (syn | ack) == syn update @asked { ip daddr }
        ip daddr 45.80.0.0/16 drop
    }
}
"""


@pytest.fixture
def world() -> Iterator[World]:
    if reason := missing("nft", "sysctl", "bridge"):
        pytest.skip(reason)
    with World() as made:
        make_world(made)
        made.run("world", "nft", "-f", "-", text=SEEN)
        made.listen("world", ("tcp", 443), ("tcp", 9418))
        load(made)
        yield made


def make_world(made: World) -> None:
    """A node with five pods and a build behind it, and an Internet that has each address of two networks."""
    for name in ("node", "world", *PODS, "build"):
        made.add(name)
    made.sysctl("node", net__ipv4__ip_forward=1)
    for bridge, address in (("cni0", "10.42.0.1/16"), ("bbxbuild0", "10.44.0.1/16")):
        made.ip("node", f"link add {bridge} type bridge")
        made.ip("node", f"addr add {address} dev {bridge}")
        made.ip("node", f"link set {bridge} up")
    for name, address in [*PODS.items(), ("build", BUILD)]:
        gateway = "10.44.0.1" if name == "build" else "10.42.0.1"
        made.link("node", f"v-{name}", name, "eth0")
        made.ip("node", f"link set v-{name} master {'bbxbuild0' if name == 'build' else 'cni0'}")
        made.ip(name, f"addr add {address}/16 dev eth0")
        made.ip(name, f"route add default via {gateway}")
    made.link("node", "eth0", "world", "eth0")
    made.ip("node", f"addr add {NODE}/24 dev eth0")
    made.ip("node", "route add default via 45.9.9.1")
    made.ip("world", "addr add 45.9.9.1/24 dev eth0")
    for network in (ANSWERS, SILENT):
        made.ip("world", f"route add local {network}/16 dev lo")


def load(world: World, known: bool = True) -> None:
    world.run("node", "nft", "-f", "-", text=render_ruleset(INPUTS))
    link = json.loads(world.ip("build", "-j link show dev eth0"))[0]["address"]
    rows = [f"add element inet binderbox step_sources {{ {BUILD} . {link} }}"]
    if known:
        rows += [f"add element inet binderbox groups {{ {one} : {GROUP} }}" for one in PODS.values()]
        rows.append(f"add element inet binderbox groups {{ {BUILD} : 0xb111d }}")
    world.run("node", "nft", "-f", "-", text="\n".join(rows))


def addresses(first: str, count: int, begin: int = 0) -> list[tuple[str, int]]:
    return [(str(ip_address(first) + begin + n + 1), 443) for n in range(count)]


def start(
    world: World, who: str, targets: list[tuple[str, int]], per_second: float, how: str = "one"
) -> subprocess.Popen[str]:
    words = [sys.executable, "-c", ASK, json.dumps(targets), str(per_second), how]
    return subprocess.Popen(
        ["ip", "netns", "exec", world.full(who), *words], stdout=subprocess.PIPE, text=True
    )


def answer(asked: subprocess.Popen[str]) -> dict[str, int]:
    out, _ = asked.communicate(timeout=60)
    found: dict[str, int] = json.loads(out)
    return found


def reached(world: World) -> int:
    """How many different addresses were asked for a connection, as the Internet saw it."""
    shown = json.loads(world.run("world", "nft", "-j", "list", "set", "inet", "seen", "asked"))
    return sum(len(one["set"].get("elem", [])) for one in shown["nftables"] if "set" in one)


@pytest.mark.parametrize("network", [ANSWERS, SILENT])
@pytest.mark.parametrize("how", ["one", "forked"])
@pytest.mark.parametrize("who", ["user0", "build"])
def test_a_scan_is_over_before_it_is_one(world: World, who: str, how: str, network: str) -> None:
    answer(start(world, who, addresses(network, 1000), 1000, how))
    assert 0 < reached(world) <= MOST


def test_five_pods_of_one_repository_scan_as_one(world: World) -> None:
    asked = [start(world, who, addresses(ANSWERS, 200, n * 200), 1000) for n, who in enumerate(PODS)]
    for one in asked:
        answer(one)
    assert 0 < reached(world) <= MOST


def test_pods_that_the_keeper_does_not_know_yet_scan_as_one_and_wait(world: World) -> None:
    load(world, known=False)
    asked = [start(world, who, addresses(ANSWERS, 200, n * 200), 1000) for n, who in enumerate(PODS)]
    for one in asked:
        assert answer(one)["none"] > 150
    assert 0 < reached(world) <= MOST // 4


@pytest.mark.long  # 100 s
def test_a_slow_scan_too(world: World) -> None:
    scanned = [(who, addresses(ANSWERS, 500, n * 500)) for n, who in enumerate(("user0", "build"))]
    asked = [start(world, who, targets, 5) for who, targets in scanned]
    for one in asked:
        one.communicate(timeout=180)
    assert 0 < reached(world) <= 2 * MOST


HONEST = {
    "a package installer": [(str(ip_address(ANSWERS) + 1 + n % 4), 443) for n in range(100)],
    "a page with 60 connections": [(str(ip_address(ANSWERS) + 1 + n % 20), 443) for n in range(60)],
    "50 clones at once": [(str(ip_address(ANSWERS) + 1), 9418)] * 25
    + [(str(ip_address(ANSWERS) + 2), 443)] * 25,
    "a load test of one's own service": [(str(ip_address(ANSWERS) + 1), 443)] * 900,
}


@pytest.mark.parametrize("who", ["user0", "build"])
@pytest.mark.parametrize("what", HONEST)
def test_honest_work_is_never_stopped(world: World, who: str, what: str) -> None:
    said = answer(start(world, who, HONEST[what], 2000))
    assert said == {"ok": len(HONEST[what]), "none": 0}


def test_a_proofs_scan_is_refused_and_would_not_be_without_the_rule(world: World) -> None:
    """It goes to an interface behind which nothing is; without a firewall nobody refuses it."""
    world.ip("node", f"link add {CANARY_INTERFACE} type bridge")
    world.ip("node", f"link set {CANARY_INTERFACE} arp off up")
    world.ip("node", f"route add {CANARY_NETWORK} dev {CANARY_INTERFACE}")
    target = forbidden_targets(cast(Any, SimpleNamespace(address=NODE, ssh_ports=())), Networks())[
        "a scan of 60 addresses"
    ]
    words = [
        sys.executable,
        "-c",
        f"from binderbox.launch.repository.probe import reach; print(reach({target!r}))",
    ]
    assert world.run("user0", *words).startswith("refused after")
    world.run("node", "nft", "delete table inet binderbox")
    assert world.run("user0", *words) == "True\n"


def test_buildkits_own_fetches_are_no_scan_either(world: World) -> None:
    """`ADD https://` a thousand times in one Dockerfile; its cgroup is not here, so all that the node asks counts."""
    text = render_fetches(replace(BUILDER, resolvers=(), node_addresses=(), egress_allow=()))
    here = text.replace("flags owner;", "").replace("flags owner", "")
    ours = re.sub(r"socket cgroupv2 level 2 \S+ jump", "jump", here)
    assert ours != here
    world.run("node", "nft", "-f", "-", text=ours)
    said = answer(start(world, "node", addresses(ANSWERS, 1000), 1000))
    assert 10 < said["ok"] <= reached(world) <= FEW_4 <= THRESHOLD - FEW_6, (
        "or tcpflowkiller ends it with all builds"
    )
    again = answer(start(world, "node", addresses(ANSWERS, 10) * 5, 1000))
    assert again["ok"] == 50, "who was asked before may be asked again"


ASK_NAMES = """
import json, socket, sys, time
count, size, per_second = map(int, sys.argv[1:4])
sock, said = socket.socket(socket.AF_INET, socket.SOCK_DGRAM), {"answered": 0, "refused": 0}
sock.settimeout(0.3)
sock.connect(("10.42.0.22", 53))
began = time.monotonic()
for n in range(count):
    time.sleep(max(0, began + n / per_second - time.monotonic()))
    try:
        sock.send(b"x" * size)
        said["answered"] += len(sock.recv(9))
    except OSError as error:
        said["refused"] += 1
print(json.dumps(said))
"""
HEADERS = 28


@pytest.mark.parametrize("who", ["user0", "build"])
def test_a_tunnel_through_names_gets_little_through_and_honest_questions_all(world: World, who: str) -> None:
    nat = """
        table ip nat { chain prerouting {
            type nat hook prerouting priority dstnat
            ip daddr 10.43.0.10 udp dport 53 dnat to 10.42.0.22
        }
        }
    """
    world.run("node", "nft", "-f", "-", text=nat)
    world.ip("user4", "addr add 10.42.0.22/16 dev eth0")
    world.listen("user4", ("udp", 53, "10.42.0.22"))
    asks = ASK_NAMES.replace("10.42.0.22", "10.43.0.10")

    def ask(count: int, size: int, per_second: int) -> dict[str, int]:
        words = [sys.executable, "-c", asks, str(count), str(size), str(per_second)]
        found: dict[str, int] = json.loads(world.run(who, *words))
        return found

    assert ask(600, 60, 2000) == {"answered": 600, "refused": 0}, "a hundred names, each in six ways"
    began = time.monotonic()
    tunnel = ask(2000, 250, 2000)
    budget = 200_000 + 8_000 * (time.monotonic() - began + 1)
    assert 0 < tunnel["answered"] * (250 + HEADERS) <= budget * 1.05
    assert tunnel["refused"] > 50


def test_a_flood_of_connections_that_nobody_answers_ends(world: World) -> None:
    said = answer(start(world, "user0", [(addresses(SILENT, 1)[0])] * 1000, 1000))
    assert said["ECONNREFUSED"] >= 600


def test_a_step_may_not_borrow_an_address(world: World) -> None:
    """It has CAP_NET_RAW, and would have an allowance for each sender that it writes."""
    world.ip("build", "addr add 10.44.0.77/32 dev eth0")
    world.ip("build", "route replace default via 10.44.0.1 src 10.44.0.77")
    assert answer(start(world, "build", addresses(ANSWERS, 20), 1000))["none"] == 20
    assert reached(world) == 0


def test_who_was_refused_and_where_is_told(world: World) -> None:
    answer(start(world, "user0", [("169.254.169.254", 80), (str(ip_address(ANSWERS) + 1), 25)], 100))
    shown = json.loads(world.run("node", "nft", "-j", "list", "set", "inet", "binderbox", "refused"))
    (found,) = (one["set"] for one in shown["nftables"] if "set" in one)
    pairs = {tuple(one["elem"]["val"]["concat"]) for one in found["elem"]}
    assert pairs == {
        (PODS["user0"], "169.254.169.254", "tcp", 80),
        (PODS["user0"], str(ip_address(ANSWERS) + 1), "tcp", 25),
    }
