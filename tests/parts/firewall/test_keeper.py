"""Which pods are trusted, and that the kernel's set follows them: real nft in a namespace, a small API server."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.deploys.k3s import keeper_tree
from binderbox.parts.firewall.keeper.builds import Builds
from binderbox.parts.firewall.keeper.keeping import Keeper
from binderbox.parts.firewall.keeper.known import Known, PodSet, Rules, known_of, named_of
from binderbox.parts.firewall.keeper.refusals import Refusals
from binderbox.parts.firewall.rules import FirewallInputs, render_ruleset
from binderbox.parts.firewall.units import render_keeper_unit
from binderbox.parts.secrets.ca import make_ca, make_leaf
from tests.netns import World, missing
from tests.parts.builder.door.test_steps import bundle, mark
from tests.places import ROOT
from tests.waiting import wait_until

RULES = Rules("10.42.0.0/16", ("kube-system", "binderbox"), "binderhub", ("hub", "proxy", "binder"))


def pod(uid: str, namespace: str, ip: str | None, component: str = "", **more: Any) -> dict[str, Any]:
    status = {"phase": more.pop("phase", "Running")}
    if ip:
        status |= {"podIP": ip, "podIPs": [{"ip": ip}]}
    labels = {"component": component} if component else {}
    return {
        "metadata": {"uid": uid, "namespace": namespace, "labels": labels},
        "spec": {"hostNetwork": more.pop("host_network", False)},
        "status": status,
    }


@pytest.mark.parametrize(
    ("one", "trusted"),
    [
        (pod("1", "kube-system", "10.42.0.2"), True),
        (pod("1", "binderbox", "10.42.0.2"), True),
        (pod("1", "binderhub", "10.42.0.2", "hub"), True),
        (pod("1", "binderhub", "10.42.0.2", "binder"), True),
        (pod("1", "binderhub", "10.42.0.2", "singleuser-server"), False),
        (pod("1", "binderhub", "10.42.0.2", "binderhub-build"), False),
        (pod("1", "binderhub", "10.42.0.2"), False),
        (pod("1", "default", "10.42.0.2", "hub"), False),
        (pod("1", "kube-system", "198.51.100.4"), False),
        (pod("1", "kube-system", "10.42.0.2", host_network=True), False),
        (pod("1", "kube-system", "10.42.0.2", phase="Succeeded"), False),
        (pod("1", "kube-system", None), False),
        (pod("1", "kube-system", "no address"), False),
    ],
)
def test_only_the_members_own_pods_are_trusted(one: dict[str, Any], trusted: bool) -> None:
    assert known_of([one], RULES).addresses == (frozenset({"10.42.0.2"}) if trusted else frozenset())


def test_an_address_that_a_user_pod_claims_too_is_not_trusted() -> None:
    both = [pod("1", "binderbox", "10.42.0.2"), pod("2", "binderhub", "10.42.0.2", "singleuser-server")]
    found = known_of(both, RULES)
    assert (found.addresses, found.host_ports) == (frozenset(), frozenset())


BINDER = "https://github.com/binder-examples/requirements"


def of_repository(one: dict[str, Any], url: str, how: str = "env") -> dict[str, Any]:
    if how == "annotation":
        return one | {"metadata": one["metadata"] | {"annotations": {"binder-repo": url}}}
    return one | {"spec": {"containers": [{"env": [{"name": "BINDER_REPO_URL", "value": url}]}]}}


def test_pods_of_one_repository_are_one_group_however_it_is_written() -> None:
    pods = [
        of_repository(pod("1", "binderhub", "10.42.0.2", "singleuser-server"), BINDER),
        of_repository(
            pod("2", "binderhub", "10.42.0.3", "singleuser-server"), f"{BINDER}.git/".replace("b", "B")
        ),
        of_repository(pod("3", "binderhub", "10.42.0.4", "binderhub-build"), f"{BINDER}/", "annotation"),
        of_repository(pod("4", "binderhub", "10.42.0.5", "singleuser-server"), f"{BINDER}2"),
        pod("5", "binderhub", "10.42.0.6", "singleuser-server") | {"metadata": {"uid": "5", "name": "five"}},
        pod("6", "default", "10.42.0.7"),
        pod("7", "binderhub", "10.42.0.8", "hub"),
    ]
    groups = dict(known_of(pods, RULES).groups)
    assert len({groups[f"10.42.0.{n}"] for n in (2, 3, 4)}) == 1
    assert len(set(groups.values())) == 4
    assert "10.42.0.8" not in groups
    assert min(groups.values()) > 1
    assert named_of(pods, RULES)["10.42.0.4"].repository == f"{BINDER}/"


def with_port(one: dict[str, Any], **port: Any) -> dict[str, Any]:
    return one | {"spec": {"containers": [{"ports": [port]}]}}


def test_a_system_pods_host_ports_are_known_and_nobody_elses() -> None:
    ingress = with_port(pod("1", "binderbox", "10.42.0.5"), hostPort=443, containerPort=8443)
    users = with_port(
        pod("2", "binderhub", "10.42.0.6", "singleuser-server"), hostPort=80, containerPort=8000
    )
    udp = with_port(pod("3", "binderbox", "10.42.0.7"), hostPort=53, containerPort=53, protocol="UDP")
    inside = with_port(pod("4", "binderbox", "10.42.0.8"), containerPort=9000)
    found = known_of([ingress, users, udp, inside], RULES)
    assert found.host_ports == {(443, "10.42.0.5", 8443)}


def test_a_host_port_that_two_pods_want_is_nobodys() -> None:
    """While the ingress is replaced only one of them has it, and which one this program cannot tell."""
    both = [
        with_port(pod(uid, "binderbox", ip), hostPort=443, containerPort=8443)
        for uid, ip in (("1", "10.42.0.5"), ("2", "10.42.0.6"))
    ]
    assert known_of(both, RULES).host_ports == frozenset()


def test_binderhub_is_told_from_the_other_pods_of_the_member() -> None:
    pods = [pod("1", "binderhub", "10.42.0.2", "binder"), pod("2", "binderhub", "10.42.0.3", "hub")]
    found = known_of([*pods, pod("3", "default", "10.42.0.4", "binder")], RULES)
    assert (found.addresses, found.binder) == ({"10.42.0.2", "10.42.0.3"}, {"10.42.0.2"})


def test_an_error_in_the_watch_is_no_pod() -> None:
    with pytest.raises(ValueError, match="too old"):
        PodSet(RULES).hear({"type": "ERROR", "object": {"code": 410, "message": "too old", "metadata": {}}})


def test_the_unit_runs_the_program_where_it_is_put_and_closes_when_it_stops() -> None:
    unit = render_keeper_unit("10.42.0.0/16")
    start = next(line for line in unit.splitlines() if line.startswith("ExecStart="))
    module = start.split(" -m ")[1].split()[0]
    assert f"{layout.KEEPER}/{module.replace('.', '/')}/__main__.py" in keeper_tree()
    assert f"PYTHONPATH={layout.KEEPER} " in unit
    assert "--component binder" in start
    assert "nft flush set inet binderbox system_pods" in unit


class Watched:
    """A namespace with the firewall loaded, the API server and the program under test."""

    def __init__(self, world: World, folder: Path) -> None:
        self.world, self.folder = world, folder
        world.add("node")
        self.load()
        authority = make_ca("test")
        leaf = make_leaf(authority, ["localhost"])
        (folder / "crt").write_text(leaf.certificate_pem)
        (folder / "key").write_text(leaf.key_pem)
        data = {"token": "let-me-read", "ca.crt": authority.certificate_pem}
        encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
        (folder / "secret.json").write_text(json.dumps({"data": encoded}))
        api = [
            str(ROOT / "tests" / "pod_api.py"),
            str(folder / "crt"),
            str(folder / "key"),
            "let-me-read",
            "6443",
        ]
        self.api = self.start(api)
        assert self.api.stdout is not None
        assert self.api.stdout.readline() == "ready\n"
        for path, text in keeper_tree().items():  # alone, as the node has it
            place = folder / "keeper" / path.removeprefix(f"{layout.KEEPER}/")
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text(text)
        program = [
            "-SsBm",
            "binderbox.parts.firewall.keeper",
            "--secret",
            str(folder / "secret.json"),
        ]
        program += [
            "--rules",
            str(folder / "firewall.nft"),
            "--api",
            "https://localhost:6443",
            "--pod-cidr",
            "10.42.0.0/16",
            "--hub-namespace",
            "binderhub",
            "--build-interface",
            "bbxbuild0",
            *("--tasks", str(folder / "tasks"), "--leases", str(folder / "leases")),
            *("--door-status", str(folder / "door.json")),
            *("--status", str(folder / "status.json"), "--told", str(folder / "told.json")),
            *("--audit", str(folder / "audit.log")),
        ]
        self.heard = open(folder / "heard", "w+")  # noqa: SIM115
        self.program = self.start(
            [*program, "--namespace", "binderbox", "--component", "hub"],
            {"PYTHONPATH": str(folder / "keeper")},
            self.heard,
        )

    def start(
        self, argv: list[str], env: Mapping[str, str] | None = None, stderr: Any = subprocess.DEVNULL
    ) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.world.full("node"), sys.executable, *argv],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=os.environ | dict(env or {}),
        )
        self.world.listeners.append(process)
        return process

    def load(self) -> None:
        inputs = FirewallInputs("10.42.0.0/16", "10.43.0.0/16", "10.44.0.0/16", "10.43.0.10", ())
        (self.folder / "firewall.nft").write_text(render_ruleset(inputs))
        self.world.run("node", "nft", "-f", str(self.folder / "firewall.nft"))

    def say(self, line: str) -> int:
        assert self.api.stdin is not None
        assert self.api.stdout is not None
        self.api.stdin.write(line + "\n")
        self.api.stdin.flush()
        return int(self.api.stdout.readline())

    def event(self, kind: str, one: dict[str, Any]) -> None:
        self.say(json.dumps({"type": kind, "object": one}))

    def nft(self, *words: str, text: str | None = None) -> str:
        return str(self.world.run("node", "nft", *words, text=text))

    def settles_at(self, *addresses: str, within_s: float = 15.0) -> bool:
        end = time.monotonic() + within_s
        while time.monotonic() < end:
            with suppress(RuntimeError, AssertionError, subprocess.CalledProcessError, OSError):  # no table
                shown = json.loads(self.nft("-j", "list", "set", "inet", "binderbox", "system_pods"))
                found = next(item["set"] for item in shown["nftables"] if "set" in item).get("elem", [])
                if sorted(found) == sorted(addresses):
                    return True
            time.sleep(0.05)
        return False


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Watched]:
    reason = missing("nft")
    if reason:
        pytest.skip(reason)
    with World() as world:
        yield Watched(world, tmp_path)


def test_the_set_follows_pods_that_come_and_go(watched: Watched) -> None:
    registry = pod("1", "binderbox", "10.42.0.5")
    watched.event("ADDED", registry)
    assert watched.settles_at("10.42.0.5")
    watched.event("ADDED", pod("2", "binderhub", "10.42.0.6", "singleuser-server"))
    watched.event("ADDED", pod("3", "binderhub", None, "hub", phase="Pending"))
    watched.event("MODIFIED", pod("3", "binderhub", "10.42.0.7", "hub"))
    assert watched.settles_at("10.42.0.5", "10.42.0.7")
    watched.event("DELETED", registry)
    assert watched.settles_at("10.42.0.7")


def test_it_comes_back_from_whatever_happens(watched: Watched) -> None:
    watched.event("ADDED", pod("1", "binderbox", "10.42.0.5"))
    assert watched.settles_at("10.42.0.5")

    watched.say("break")  # a watch that ends in the middle
    watched.event("ADDED", pod("2", "binderbox", "10.42.0.6"))
    assert watched.settles_at("10.42.0.5", "10.42.0.6")

    watched.load()  # new rules empty the set
    assert watched.settles_at("10.42.0.5", "10.42.0.6")

    watched.say("down")  # the API server restarts: nobody loses trust, nobody gains it
    watched.event("DELETED", pod("2", "binderbox", "10.42.0.6"))
    time.sleep(1.5)
    assert watched.settles_at("10.42.0.5", "10.42.0.6", within_s=0.5)
    watched.say("up")
    assert watched.settles_at("10.42.0.5")

    watched.event(
        "ADDED", {"metadata": {"uid": "x"}, "spec": None, "status": None}
    )  # a pod with nothing in it yet
    watched.event("ADDED", pod("3", "binderbox", "10.42.0.9"))
    assert watched.settles_at("10.42.0.5", "10.42.0.9")
    assert watched.program.poll() is None


def test_the_groups_of_pods_and_the_steps_of_builds_are_known(watched: Watched) -> None:
    user = of_repository(pod("2", "binderhub", "10.42.0.6", "singleuser-server"), BINDER)
    watched.event("ADDED", user)
    group = dict(known_of([user], RULES).groups)["10.42.0.6"]
    link = "aa:bb:cc:dd:ee:ff"
    watched.world.ip("node", "link add bbxbuild0 type bridge")
    watched.world.ip("node", "link set bbxbuild0 up")
    watched.world.ip("node", f"neigh replace 10.44.0.5 lladdr {link} dev bbxbuild0 nud permanent")

    def known(kind: str, name: str) -> str:
        return watched.nft("list", kind, "inet", "binderbox", name)

    wait_until(lambda: f"10.42.0.6 : {group:#010x}" in known("map", "groups"), 5, "the pod's group")
    wait_until(lambda: f"10.44.0.5 . {link}" in known("set", "step_sources"), 5, "the step")
    watched.world.ip("node", "neigh delete 10.44.0.5 dev bbxbuild0")
    watched.event("DELETED", user)
    wait_until(lambda: "10.44.0.5" not in known("set", "step_sources"), 5, "no step")
    wait_until(lambda: "10.42.0.6" not in known("map", "groups"), 5, "no group")


def test_a_steps_address_is_of_its_builds_repository_for_as_long_as_it_runs(watched: Watched) -> None:
    """BuildKit gives the network to the next step, of another build."""
    folder, key = watched.folder, "a" * 32
    (folder / "leases").mkdir()
    (folder / "leases/10.44.0.5").write_text("net-one\r\neth1")
    (folder / "leases/last_reserved_ip.0").write_text("10.44.0.5")
    door = {"builds": [{"key": key, "repository": f"{BINDER}.git"}]}
    (folder / "door.json").write_text(json.dumps(door))
    watched.event("ADDED", of_repository(pod("2", "binderhub", "10.42.0.6", "singleuser-server"), BINDER))
    wait_until(lambda: "10.42.0.6" in watched.nft("list", "map", "inet", "binderbox", "groups"), 5, "the pod")

    def groups() -> dict[str, int]:
        shown = json.loads(watched.nft("-j", "list", "map", "inet", "binderbox", "groups"))
        return dict(next(one["map"] for one in shown["nftables"] if "map" in one)["elem"])

    made = bundle(folder / "tasks", "step", f"no_proxy={mark(key)}", network="net-one")
    wait_until(lambda: "10.44.0.5" in groups(), 5, "the step")
    assert groups()["10.44.0.5"] == groups()["10.42.0.6"]
    shutil.rmtree(made)
    wait_until(lambda: "10.44.0.5" not in groups(), 5, "no step")
    watched.nft("add element inet binderbox refused { 10.44.0.5 . 45.64.0.1 . tcp . 25 }")
    wait_until(lambda: f'"who": "{BINDER}.git"' in (folder / "heard").read_text(), 5, "who it was")
    bundle(folder / "tasks", "next", network="net-one")
    wait_until(lambda: "10.44.0.5" in groups(), 5, "the next step")
    assert groups()["10.44.0.5"] != groups()["10.42.0.6"]


def test_a_scan_is_told_with_its_repository(watched: Watched) -> None:
    watched.event("ADDED", of_repository(pod("2", "binderhub", "10.42.0.6", "singleuser-server"), BINDER))
    wait_until(
        lambda: "10.42.0.6" in watched.nft("list", "map", "inet", "binderbox", "groups"), 5, "the group"
    )
    targets = ", ".join(f"10.42.0.6 . 45.64.0.{n} . tcp . 443" for n in range(30))
    watched.nft(f"add element inet binderbox refused {{ {targets} }}")
    wait_until(lambda: (watched.folder / "audit.log").exists(), 10, "the audit log")
    (line,) = map(json.loads, (watched.folder / "audit.log").read_text().splitlines())
    assert (line["event"], line["who"]) == ("scan-refused", "the firewall on this node")
    assert BINDER in line["why"]
    wait_until(lambda: BINDER in (watched.folder / "status.json").read_text(), 10, "the status")
    watched.heard.seek(0)
    assert '"event": "refused"' in watched.heard.read()


TAMPERED = {
    "every table of everybody flushed": ("gone", "flush ruleset"),
    "our table deleted": ("gone", "delete table inet binderbox"),
    "our rules flushed": ("changed by another program", "flush table inet binderbox"),
    "a rule of another before ours": (
        "changed by another program",
        "insert rule inet binderbox forward counter accept",
    ),
}


@pytest.mark.parametrize("name", TAMPERED)
def test_a_table_that_another_program_took_away_is_back_within_seconds(watched: Watched, name: str) -> None:
    happened, command = TAMPERED[name]
    ingress = with_port(pod("1", "binderbox", "10.42.0.5"), hostPort=443, containerPort=8443)
    watched.event("ADDED", ingress)
    assert watched.settles_at("10.42.0.5")
    ports = "443 : 10.42.0.5 . 8443"
    assert ports in watched.nft("list", "map", "inet", "binderbox", "host_ports")
    time.sleep(1.5)  # it has seen the table as it was loaded
    before = watched.nft("--terse", "--stateless", "list", "table", "inet", "binderbox")
    for _ in range(3):
        watched.nft(*command.split())
        started = time.monotonic()
        assert watched.settles_at("10.42.0.5", within_s=5)
        while watched.nft("--terse", "--stateless", "list", "table", "inet", "binderbox") != before:
            assert time.monotonic() - started < 5
            time.sleep(0.1)
        assert watched.settles_at("10.42.0.5", within_s=5)
        assert ports in watched.nft("list", "map", "inet", "binderbox", "host_ports")
    watched.heard.seek(0)
    assert watched.heard.read().count(f"was {happened}, and is loaded again") == 3


def test_new_rules_of_an_install_are_no_tampering(watched: Watched) -> None:
    watched.event("ADDED", pod("1", "binderbox", "10.42.0.5"))
    assert watched.settles_at("10.42.0.5")
    time.sleep(1.5)
    rules = (watched.folder / "firewall.nft").read_text().replace("10.44.0.0/16", "10.45.0.0/16")
    (watched.folder / "firewall.nft").write_text(rules)
    time.sleep(1.5)  # the file is written before it is loaded
    watched.nft("-f", str(watched.folder / "firewall.nft"))
    assert watched.settles_at("10.42.0.5")
    time.sleep(1.5)
    assert "10.45.0.0/16" in watched.nft("list", "table", "inet", "binderbox")
    watched.heard.seek(0)
    assert "changed" not in watched.heard.read()


class Counted:
    """A kernel that counts how often it is asked what its sets hold, which takes a process for each."""

    def __init__(self) -> None:
        self.handle, self.reads, self.held = 1, 0, Known()

    def table(self) -> str:
        return f"table inet binderbox {{ # handle {self.handle}\n}}"

    def written(self) -> float:
        return 1.0

    def load(self) -> None:
        raise AssertionError("the same rules are no reason to load them")

    def steps(self) -> frozenset[tuple[str, str]]:
        return frozenset()

    def read(self) -> Known:
        self.reads += 1
        return self.held

    def write(self, known: Known) -> None:
        self.held = known

    def refused(self) -> list[Any]:
        return []


def test_sets_are_read_again_when_the_table_is_another_one(tmp_path: Path) -> None:
    kernel = Counted()
    builds = Builds(tmp_path, tmp_path, tmp_path / "door.json")
    keeper = Keeper(kernel, builds, Refusals(lambda *_: None, re.compile("none")))  # type: ignore[arg-type]
    wanted = PodSet(Rules("10.42.0.0/16", ("binderbox",), "binderhub", ()))
    wanted.replace([pod("1", "binderbox", "10.42.0.9")])
    keeper.want(wanted)
    for _ in range(5):
        keeper.ensure()
    assert (kernel.reads, kernel.held.addresses) == (1, {"10.42.0.9"})
    kernel.handle, kernel.held = 2, Known()  # loaded by an install
    keeper.ensure()
    assert (kernel.reads, kernel.held.addresses) == (2, {"10.42.0.9"})
    wanted.replace([])
    keeper.want(wanted)
    keeper.ensure()
    assert (kernel.reads, kernel.held.addresses) == (3, frozenset())
