"""Two steps on the builds' network, made by the real CNI plugins: neither sees the other, and the node believes neither."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.member.model import Networks
from binderbox.parts.builder import network
from tests.netns import World, missing
from tests.places import ROOT
from tests.rig import binaries

pytestmark = [pytest.mark.host, pytest.mark.timeout(120)]
HERE = Path(network.__file__).parent

# Claims by ARP, to the node and to everybody, that `claimed` is here; counts frames for it that arrive.
SPOOF = r"""
import json, socket, struct, sys, time
from tests.places import ROOT
claimed, gateway, gateway_mac, seconds = sys.argv[1:5]
mine = bytes.fromhex(open("/sys/class/net/eth0/address").read().strip().replace(":", ""))
raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)); raw.bind(("eth0", 0)); raw.settimeout(0.05)
me, them, wanted = socket.inet_aton(claimed), socket.inet_aton(gateway), bytes.fromhex(gateway_mac.replace(":", ""))
def arp(kind, to):
    return to + mine + b"\x08\x06" + struct.pack("!HHBBH", 1, 0x0800, 6, 4, kind) + mine + me + to + them
end, got = time.time() + float(seconds), 0
print("spoofing", flush=True)
while time.time() < end:
    for to in (wanted, b"\xff" * 6):
        raw.send(arp(2, to)); raw.send(arp(1, to))
    try:
        while True:
            frame = raw.recv(2000)
            foreign = frame[6:12] != mine
            got += foreign and frame[12:14] == b"\x08\x00" and me == frame[30:34]
    except TimeoutError:
        pass
print(got)
"""


@dataclass
class Builds:
    """A node with the builds' network and two steps on it: names of namespaces to their addresses."""

    world: World
    steps: dict[str, str]
    links: dict[str, str]
    gateway: str

    def known(self, address: str) -> str:
        """The link address that the node has of it."""
        found = json.loads(self.world.run("node", "ip", "-j", "neigh", "show", "dev", layout.BUILD_INTERFACE))
        return next((str(one.get("lladdr")) for one in found if one["dst"] == address), "")

    def while_spoofing(self, by: str, claimed: str, seconds: float = 3) -> tuple[int, str]:
        """(frames for `claimed` that `by` saw, what the node takes its link address for at the end)."""
        mac = json.loads(self.world.run("node", "ip", "-j", "link", "show", layout.BUILD_INTERFACE))[0]
        words = ["setpriv", "--bounding-set=-all,+net_raw", "--inh-caps=-all", sys.executable, "-c", SPOOF]
        command = ["ip", "netns", "exec", self.world.full(by), *words, claimed, self.gateway, mac["address"]]
        with subprocess.Popen([*command, str(seconds)], stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout
            assert process.stdout.readline() == "spoofing\n"
            for _ in range(4):  # the world answers who it takes for the claimed address
                self.world.reach("node", [("icmp", claimed, 0)], 0.3)
            known = self.known(claimed)
            return int(process.stdout.read()), known


def add(world: World, config: dict[str, object], name: str, plugins: Path, state: Path) -> str:
    """Run the list of plugins for a namespace, as CNI's runtime does; the address it got."""
    result: dict[str, object] = {}
    environment = {
        "CNI_COMMAND": "ADD",
        "CNI_CONTAINERID": name,
        "CNI_NETNS": f"/run/netns/{world.full(name)}",
        "CNI_IFNAME": "eth0",
        "CNI_PATH": str(plugins),
        "PATH": os.environ["PATH"],
    }
    for plugin in config["plugins"]:  # type: ignore[attr-defined]
        if plugin["type"] == "firewall":
            continue  # rules of iptables, which are not about frames
        given = {"cniVersion": config["cniVersion"], "name": config["name"], **plugin}
        if "ipam" in given:
            given["ipam"] = {**given["ipam"], "dataDir": str(state)}
        if result:
            given["prevResult"] = result
        words = ["env", *(f"{key}={value}" for key, value in environment.items())]
        result = json.loads(world.run("node", *words, str(plugins / plugin["type"]), text=json.dumps(given)))
    return str(result["ips"][0]["address"]).partition("/")[0]  # type: ignore[index]


def builds(tmp_path: Path, **bridge: object) -> Iterator[Builds]:
    if why := missing("setpriv"):
        pytest.skip(f"no network namespaces here: {why}")
    plugins = tmp_path / "plugins"
    shutil.copytree(binaries._cni_plugins(), plugins)
    (plugins / network.NEIGHBOUR).write_text(network.neighbour())
    (plugins / network.NEIGHBOUR).chmod(0o755)
    config = json.loads(network.render_network(Networks()))
    config["plugins"][0] |= bridge
    if bridge:
        config["plugins"] = config["plugins"][:2]
    with World() as world:
        steps, links = {}, {}
        for name in ("node", "one", "two"):
            world.add(name)
        for name in ("one", "two"):
            steps[name] = add(world, config, name, plugins, tmp_path / "state")
            found = json.loads(world.run(name, "ip", "-j", "link", "show", "eth0"))
            links[name] = found[0]["address"]
        for name in ("node", "one", "two"):
            world.listen(name, ("tcp", 80))
        route = json.loads(world.run("one", "ip", "-j", "route", "show", "default"))[0]
        yield Builds(world, steps, links, route["gateway"])


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Builds]:
    yield from builds(tmp_path)


@pytest.fixture
def buildkits(tmp_path: Path) -> Iterator[Builds]:
    """As BuildKit's own bridge mode makes it: what the tests below must see go wrong."""
    yield from builds(tmp_path, portIsolation=False)


def test_on_buildkits_own_bridge_a_step_is_taken_for_its_neighbour(buildkits: Builds) -> None:
    frames, known = buildkits.while_spoofing("one", buildkits.steps["two"])
    assert frames > 0
    assert known == buildkits.links["one"]


def test_no_step_gets_its_neighbours_packets_and_the_node_knows_whom_it_talks_to(ours: Builds) -> None:
    for by, other in (("one", "two"), ("two", "one")):
        frames, known = ours.while_spoofing(by, ours.steps[other])
        assert frames == 0
        assert known == ours.links[other]


def test_no_step_is_another_ones_gateway(ours: Builds) -> None:
    frames, _ = ours.while_spoofing("one", ours.gateway)
    assert frames == 0
    assert ours.world.reach("two", [("tcp", ours.gateway, 80)], 2) == {("tcp", ours.gateway, 80): True}


def test_steps_reach_the_node_and_not_each_other(ours: Builds) -> None:
    there = [("tcp", ours.gateway, 80), ("tcp", ours.steps["two"], 80)]
    assert list(ours.world.reach("one", there, 2).values()) == [True, False]


def test_what_a_step_left_is_forgotten_with_it(ours: Builds, tmp_path: Path) -> None:
    result = {
        "interfaces": [{"name": "eth0", "mac": ours.links["one"], "sandbox": "/run/netns/x"}],
        "ips": [{"address": f"{ours.steps['one']}/16", "interface": 0}],
    }
    config = {"bridge": layout.BUILD_INTERFACE, "prevResult": result}
    plugin = str(tmp_path / "plugins" / network.NEIGHBOUR)
    assert ours.known(ours.steps["one"]) == ours.links["one"]
    ours.world.run("node", "env", "CNI_COMMAND=DEL", plugin, text=json.dumps(config))
    assert ours.known(ours.steps["one"]) == ""
    ours.world.run(
        "node", "env", "CNI_COMMAND=DEL", plugin, text=json.dumps(config)
    )  # a second time is no fault


def test_it_says_which_versions_of_the_protocol_it_speaks() -> None:
    done = subprocess.run(
        [sys.executable, HERE / "neighbour.py"],
        env={"CNI_COMMAND": "VERSION"},
        capture_output=True,
        check=True,
    )
    assert "1.0.0" in json.loads(done.stdout)["supportedVersions"]


def test_a_neighbour_that_cannot_be_made_permanent_fails_the_network(tmp_path: Path) -> None:
    result = {
        "interfaces": [{"name": "eth0", "mac": "02:00:00:00:00:01", "sandbox": "/run/netns/x"}],
        "ips": [{"address": "10.44.0.2/16", "interface": 0}],
    }
    done = subprocess.run(
        [sys.executable, HERE / "neighbour.py"],
        input=json.dumps({"bridge": "nosuchbridge", "prevResult": result}),
        env={"CNI_COMMAND": "ADD", "PATH": os.environ["PATH"]},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 1
    assert json.loads(done.stdout)["code"] == 100


def test_the_plugin_leaves_nothing_compiled_behind() -> None:
    """containerd runs it with an umask of 0: a folder of compiled files would be everybody's to write."""
    source = (ROOT / "binderbox/parts/builder/network/neighbour.py").read_text()
    assert source.startswith("#!/usr/bin/python3 -IB\n")
