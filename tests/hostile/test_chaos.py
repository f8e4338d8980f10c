"""Thirty builds while everything under them is killed at random: what was answered as built is there, and nothing is left over."""

from __future__ import annotations

import json
import random
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import pytest

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.member.model import Networks
from tests.hostile.test_hostile import more_slots
from tests.parts.builder.test_holding import tasks
from tests.parts.builder.test_on_host import RUN, Ended, Node, tag_of
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(3600)]
BUILDS, AT_ONCE, SEED = 30, 6, 15
KILLS = {
    "buildkitd": f"systemctl kill --signal=KILL --kill-whom=main {layout.BUILDKITD_UNIT}",
    "k3s": "systemctl kill --signal=KILL --kill-whom=main k3s.service",
    "door": f"systemctl kill --signal=KILL --kill-whom=main {layout.DOOR_UNIT}",
    "registry": "pkill -KILL -f 'registry [s]erve'",
    "object store": "pkill -KILL -f 'minio [s]erver'",
}
SNAPSHOTS = f"{layout.K3S} ctr -n k8s.io snapshots"
LEFT = {
    # but those that end by themselves, and those of pods, which are called as these are
    "leases": f"{layout.K3S} ctr -n k8s.io leases ls | grep -v gc.expire | awk 'NR > 1 {{ print $1 }}' | grep -vxE '[0-9a-f]{{64}}' || true",
    "mounts": "grep -cE ' /tmp/(buildkit|containerd)-mount| /var/lib/binderbox/buildkit/.*cachemounts' /proc/1/mountinfo || true",
    # of a launch from what was built: what was half made, and what nothing would ever let go
    "snapshots": f"{SNAPSHOTS} ls | awk '/^binderbox-/ || length($2) == 25 {{ print $1 }}' | while read one; do "
    f"{SNAPSHOTS} info $one | grep -q gc.root && echo $one; done || true",
    "containers": f"{layout.K3S} ctr -n k8s.io containers ls -q | grep -vxE '[0-9a-f]{{64}}' || true",
}

T = TypeVar("T")


@pytest.fixture(scope="module")
def node(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    host = RigHost.start("chaos", disk_gb=30)
    try:
        Client(tmp_path_factory.mktemp("client")).install(host, "--json").must()
        node = Node(host)
        more_slots(node)
        yield node
    finally:
        host.stop()


def patiently(look: Callable[[], T], what: str, within_s: float = 300) -> T:
    """What is asked of an API server that comes and goes."""

    def asked() -> list[T]:
        try:
            return [look()]
        except StepFailed:
            return []

    return wait_until(asked, within_s, what)[0]


def phase(node: Node, name: str) -> str:
    return str(json.loads(node.kubectl("get", "pod", name, "-o", "json"))["status"]["phase"])


def build(node: Node, name: str) -> Ended:
    """To its end, whatever that is."""
    patiently(lambda: node.start(name), f"{name} is started")

    def ended() -> str:
        try:
            found = phase(node, f"build-{name}")
        except StepFailed as error:
            if "NotFound" not in error.cause:
                raise
            # BinderHub takes ended build pods away once a minute, and was there before we looked
            told = [one["ok"] for one in node.events("build-ended") if one["tag"] == tag_of(name)]
            return "Succeeded" if told[-1:] == [True] else "Failed"
        if found not in ("Succeeded", "Failed"):
            raise StepFailed(found)
        return found

    how = patiently(ended, f"{name} has ended", 600)
    try:
        return Ended(how, patiently(lambda: node.log(name), f"the log of {name}", 30))
    except AssertionError:  # k3s was killed while its pod ended, and containerd has let its container go
        return Ended(how, "its log is gone")


def kill_at_random(node: Node, over: threading.Event) -> list[str]:
    """Each in turn, in another order each round: all of them have their turn, and a build has a chance between two."""
    chance, killed, turn = random.Random(SEED), [], []
    while not over.wait(chance.uniform(8, 20)):
        turn = turn or chance.sample(list(KILLS), len(KILLS))
        name = turn.pop()
        if "killed" in node.exec(f"{KILLS[name]} && echo killed || true"):  # else it has not come back yet
            killed.append(name)
    return killed


def left(node: Node) -> dict[str, set[str]]:
    return {what: set(node.exec(look).split()) for what, look in LEFT.items()}


def digest(node: Node, name: str) -> str:
    """In containerd."""
    shown = node.exec(f"{layout.K3S} ctr -n k8s.io images ls 'name=={tag_of(name)}'").splitlines()
    return next((word for line in shown[1:] for word in line.split() if word.startswith("sha256:")), "")


def pushed(node: Node, name: str) -> str:
    """In the registry."""
    path = tag_of(name).removeprefix(f"{layout.REGISTRY}/").rpartition(":")[0]
    return node.exec(
        f"curl -s -u {layout.REGISTRY_USER}:$(cat {layout.SECRETS}/registry-password) -D - -o /dev/null "
        "-H 'Accept: application/vnd.oci.image.manifest.v1+json' "
        f"http://{Networks().registry_ip}:5000/v2/{path}/manifests/{RUN} | grep -i ^docker-content-digest: | tr -d '\\r' | cut -d' ' -f2"
    ).strip()


def test_what_was_answered_as_built_is_there_and_nothing_is_left_over(node: Node) -> None:
    before = left(node)
    names = [f"chaos-{number}" for number in range(BUILDS)]
    for number, name in enumerate(names):
        node.repository(name, f"RUN sleep {number % 5} && head -c 1000000 /dev/urandom >/home/jovyan/made")
    over = threading.Event()
    with ThreadPoolExecutor(AT_ONCE) as pool, ThreadPoolExecutor(1) as killing:
        kills = killing.submit(kill_at_random, node, over)
        try:
            ended = dict(zip(names, pool.map(lambda name: build(node, name), names), strict=True))
        finally:
            over.set()
        killed = kills.result()
    built = [name for name in names if ended[name].phase == "Succeeded"]
    print(f"    {len(built)} of {BUILDS} built; killed { ({one: killed.count(one) for one in KILLS}) }")
    for name in set(names) - set(built):
        print(f"    {name}: {ended[name].log.strip().splitlines()[-1:]}")
    assert len(built) >= BUILDS // 2, "the test is about those that were built"
    assert all(killed.count(one) for one in KILLS)

    digests = {name: patiently(lambda name=name: digest(node, name), "containerd") for name in built}
    assert all(digests.values()), digests
    for name in built:
        words = [
            "run",
            f"runs-{name}",
            f"--image={tag_of(name)}",
            "--image-pull-policy=Never",
            "--restart=Never",
        ]
        patiently(
            lambda words=words: node.kubectl(*words, "--command", "--", "ls", "/home/jovyan/made"), "a pod"
        )
    for name in built:
        wait_until(
            lambda name=name: phase(node, f"runs-{name}") == "Succeeded", 180, f"{name} launches"
        )  # fmt: skip
    for name in built:
        wait_until(lambda name=name: pushed(node, name) == digests[name], 600, f"{name} in the registry")

    for name in names:
        node.delete(f"build-{name}", f"runs-{name}")
    try:
        wait_until(lambda: not tasks(node), 180, "no step is left")
    except AssertionError:
        print(tasks(node), node.exec(f"journalctl -u {layout.DOOR_UNIT} -o cat --no-pager -n 40"))
        raise

    # what BuildKit's cache holds goes with it; what then is left belongs to nobody
    node.exec(f"{layout.BIN}/buildctl --addr unix://{layout.BUILDKIT_SOCKET} prune --all >/dev/null")

    def more() -> dict[str, set[str]]:
        return {what: found - before[what] for what, found in left(node).items() if found - before[what]}

    wait_until(lambda: not more(), 180, f"nothing is left but {more()}")
