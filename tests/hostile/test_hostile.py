"""Hostile repositories on a real node, five honest builds and a session beside each: they waste their own build alone.

The node has a disk of its own, of 30 GB. Each row is printed: repository, how it ended, seconds, honest builds, pressure.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime

import pytest

from binderbox import layout
from binderbox.parts.builder.units import STEP_TASKS
from tests.e2e.test_follow import gateway
from tests.hostile.contexts import CONTEXTS
from tests.hostile.dockerfiles import DOCKERFILES
from tests.hostile.endless import Endless
from tests.hostile.networks import NETWORKS
from tests.hostile.repository import LEAVES, Repository
from tests.hostile.steps import STEPS
from tests.parts.builder.test_holding import tasks
from tests.parts.builder.test_on_host import REPOSITORIES, Node, tag_of
from tests.rig import images
from tests.rig.client import Client
from tests.rig.egress import egress_allow
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(900)]
DISK_GB = 30
SLOTS = 4
HONEST = 5
WHILE_S = 15.0  # how long one that never ends is looked at
KUBELET_LOOKS_S = 11.0  # its own interval is 10 s
RETURNS_TO = 0.02  # of the node's disk and memory


@dataclass
class Scene:
    node: Node
    server: str
    session: str  # its address

    def visit(self) -> str:
        """What a browser that has a notebook open gets. It asks the API: without that Jupyter ends itself after ten minutes."""
        place, _, token = self.session.partition("?")
        asked = f"{place.partition('/lab')[0].rstrip('/')}/api/contents?{token}"
        there = f"::{self.node.host.address}:443"
        words = ["curl", "-ksL", "-o", "/dev/null", "-w", "%{http_code}", "--connect-to", there, asked]
        return subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout

    def used(self) -> dict[str, int]:
        """Bytes of the disk without the object store, which has honest images, and of memory that is nobody's cache."""
        disk = self.node.exec("df --output=used -B1 /var/lib/rancher | tail -n 1")
        store = self.node.exec(f"du -xsB1 {layout.DATA}/objectstore | cut -f1")
        memory = self.node.exec("awk '/^total_rss /{s+=$2} END{print s}' /sys/fs/cgroup/memory/memory.stat")
        return {"disk": int(disk) - int(store), "memory": int(memory)}


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    host, client = RigHost.start("hostile", disk_gb=DISK_GB), Client(tmp_path_factory.mktemp("client"))
    try:
        here = gateway(host)
        with closing(Endless(here)) as server:
            server.start()
            allowed = [{"network": f"{here}/32", "ports": [server.port]}]
            client.install(host, "--json", egress_allow=[*egress_allow(), *allowed]).must()
            node = Node(host)
            more_slots(node)
            session = client.binderbox(host, "launch", "--json").must().result["url"]
            node.repository("first", "RUN echo base")  # what the first build of a node leaves is nobody's
            node.build("first")
            node.until_told("pushed", within_s=120, tag=tag_of("first"))
            yield Scene(node, server.url, str(session))
    finally:
        host.stop()


def more_slots(node: Node) -> None:
    """However few CPUs there are: with one slot, honest builds wait for it."""
    config = f"{layout.ETC}/door.json"
    changed = json.loads(node.exec(f"cat {config}")) | {"build_slots": SLOTS}
    node.exec(f"cat > {config}", json.dumps(changed).encode())
    node.exec(f"systemctl set-property --runtime {layout.BUILDS_SLICE} TasksMax={SLOTS * STEP_TASKS}")
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")


def conditions(node: Node) -> list[dict[str, str]]:
    found: list[dict[str, str]] = json.loads(node.kubectl("get", "nodes", "-o", "json"))["items"][0][
        "status"
    ]["conditions"]
    return found


def pressure(node: Node, since: datetime) -> set[str]:
    """Conditions of the node that should not be, and are, or were meanwhile: Kubernetes looks each ten seconds, and takes one
    back five minutes after it."""
    time.sleep(KUBELET_LOOKS_S)
    return {
        one["type"]
        for one in conditions(node)
        if one["type"] != "Ready"
        and (one["status"] == "True" or datetime.fromisoformat(one["lastTransitionTime"]) >= since)
    }


def put(scene: Scene, repository: Repository) -> None:
    text = repository.dockerfile.replace("{server}", scene.server).replace("{base}", images.SAMPLE_BASE)
    if repository.plain:
        text = f"{text}\nLABEL unique={secrets.token_hex(4)}\n"
        scene.node.write(f"{repository.name}/Dockerfile", text)
    else:
        scene.node.repository(repository.name, f"USER root\n{text}", **repository.files)
    if repository.prepare:
        scene.node.host.exec(
            ["sh", "-ec", f"cd {REPOSITORIES}/{repository.name}\n{repository.prepare}"], timeout_s=300
        )


def hostile(node: Node, repository: Repository, while_s: float = WHILE_S) -> tuple[str, str]:
    """(how its build ended, its log); one that never ends is ended with its pod, so long after its first words."""
    if repository.ends != LEAVES:
        ended = node.build(repository.name, repository.within_s)
        return ended.phase, ended.log
    node.start(repository.name)
    wait_until(lambda: node._log_so_far(repository.name), repository.within_s, "its first words")
    deadline = time.monotonic() + while_s
    while time.monotonic() < deadline:
        phase = node.status(repository.name)
        assert phase["phase"] in ("Pending", "Running"), phase
        time.sleep(1)
    log = node._log_so_far(repository.name)
    node.delete(f"build-{repository.name}")
    return LEAVES, log


@pytest.mark.parametrize("repository", [*STEPS, *CONTEXTS, *DOCKERFILES, *NETWORKS], ids=lambda one: one.name)
def test_it_wastes_its_own_build_alone(scene: Scene, repository: Repository) -> None:
    node, before, began, since = scene.node, scene.used(), time.monotonic(), datetime.now(UTC)
    put(scene, repository)
    names = [f"honest-{number}-{secrets.token_hex(3)}" for number in range(HONEST)]
    for name in names:
        node.repository(name, "RUN sleep 1 && echo honest-work")
    with ThreadPoolExecutor(HONEST) as pool:
        beside = [pool.submit(node.build, name) for name in names]
        how, log = hostile(node, repository)
        ended = [one.result() for one in beside]
    took_s = time.monotonic() - began
    well, pressed = sum(one.phase == "Succeeded" for one in ended), pressure(node, since)
    print(
        f"| {repository.name} | {how} | {took_s:.0f} s | {well} of {HONEST} | {', '.join(pressed) or 'never'} |"
    )
    assert how == repository.ends, log[-3000:]
    assert repository.says in log, log[-3000:]
    assert not repository.not_said or repository.not_said not in log
    assert well == HONEST, [one.log for one in ended]
    assert pressed == set()
    assert scene.visit() == "200"
    wait_until(lambda: not tasks(node), 60, "no step is left")
    node.delete(*(f"build-{name}" for name in (*names, repository.name)))
    node.exec(f"rm -rf {REPOSITORIES}/{repository.name}")
    returned(scene, before)


def returned(scene: Scene, before: dict[str, int]) -> None:
    """What it had is given back: with BuildKit's cache of it, and its image, if it made one."""
    memory = int(scene.node.exec("grep ^MemTotal: /proc/meminfo").split()[1]) * 1024
    size = {"disk": DISK_GB * 10**9, "memory": memory}

    def grown() -> dict[str, float]:
        now = scene.used()
        return {kind: round((now[kind] - before[kind]) / size[kind], 3) for kind in now}

    try:
        wait_until(lambda: max(grown().values()) <= RETURNS_TO, 120, "disk and memory of before")
    finally:
        print(f"    given back but for {grown()}")
