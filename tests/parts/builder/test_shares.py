"""What builds get of a real node's processors and memory beside users' pods, and which of two builds goes when it is too much."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator

import pytest

from binderbox import layout
from binderbox.parts.builder.weights import HIERARCHIES, PODS, SHARE
from tests.conftest import Installed
from tests.parts.builder.test_on_host import Node
from tests.rig import images
from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
MEASURED_S = 30
BUSY = "for n in 1 2 3 4 5 6 7 8; do (while :; do :; done) & done; sleep {seconds}; kill $(jobs -p); true"
# One process with a third of it, and forty that grow together until they are ended.
HONEST = "import time\nheld = b'x' * (500 << 20)\ntime.sleep(40)\nprint(len(held))"
MANY = """\
import os, time
for _ in range(40):
    if not os.fork():
        held = []
        while True:
            held.append(os.urandom(1 << 20))
            time.sleep(0.3)
time.sleep(600)
"""


def used_s(node: Node, group: str) -> float:
    """Processor time of a cgroup beside Kubernetes' pods, or of theirs, in seconds."""
    for hierarchy in (*HIERARCHIES, "cpuacct/"):
        place = f"/sys/fs/cgroup/{hierarchy}{group}"
        text = node.exec(
            f"cat {place}/cpuacct.usage 2>/dev/null || grep -s usage_usec {place}/cpu.stat || true"
        )
        if text.strip():
            number = int(text.split()[-1])
            return number / (1e6 if "usec" in text else 1e9)
    return 0.0


def measured_share(node: Node, start_s: int = 20) -> float:
    """Processor time of builds to that of pods, both busy for a while.

    + start_s: what the start of either may take
    """
    node.repository("busy", f"RUN {BUSY.format(seconds=MEASURED_S + start_s)}")
    pod = [
        "run",
        "user-busy",
        f"--image={images.SAMPLE_BASE}",
        "--restart=Never",
        "--labels=binderbox-test=builder",
    ]
    node.kubectl(
        *pod, "--image-pull-policy=IfNotPresent", "--command", "--", "sh", "-c", BUSY.format(seconds=600)
    )
    node.start("busy")
    node.until_said("busy", "RUN for n in", within_s=6 * start_s)
    node.kubectl(
        "wait", "pod/user-busy", "--for=jsonpath={.status.phase}=Running", f"--timeout={6 * start_s}s"
    )
    time.sleep(5)  # what the start of both took
    pods = next(one for one in PODS if used_s(node, one))
    before = [used_s(node, one) for one in (layout.OUR_SLICE, pods)]
    time.sleep(MEASURED_S)
    builds_s, pods_s = (
        used_s(node, one) - was for one, was in zip((layout.OUR_SLICE, pods), before, strict=True)
    )
    node.delete("user-busy")
    assert node.wait("busy", 300).phase == "Succeeded"
    node.delete("build-busy")
    return builds_s / pods_s


@pytest.fixture(scope="module")
def node(installed_host: Installed) -> Iterator[Node]:
    node = Node(installed_host.host)
    yield node
    node.delete_all()


def test_a_step_goes_before_any_users_pod_where_the_node_has_no_memory_left(node: Node) -> None:
    node.repository("score", "RUN echo score $(cat /proc/self/oom_score_adj)")
    ended = node.build("score")
    assert "score 1000" in ended.log
    shim = node.exec("cat /proc/$(pgrep -o -f containerd-shim)/oom_score_adj")
    assert int(shim) < 1000, "what holds it is not ended with it"
    assert ended.phase == "Succeeded"
    node.delete("build-score")


@pytest.mark.long  # alone: whatever else the machine does is in it
def test_builds_and_sessions_share_the_processors_as_promised(node: Node) -> None:
    share = measured_share(node)
    print(f"builds to sessions, both busy: {share:.2f}, promised {SHARE}")
    assert share == pytest.approx(SHARE, rel=0.1)


@pytest.mark.long
def test_the_build_beyond_its_share_goes_and_not_the_largest_process(
    start_host: Callable[..., RigHost], client: Client
) -> None:
    host = start_host("shares")
    client.install(host, "--json").must()
    node = Node(host)
    config = f"{layout.ETC}/door.json"
    changed = json.loads(node.exec(f"cat {config}")) | {"build_slots": 2, "build_memory_mb": 1500}
    node.exec(f"cat > {config}", json.dumps(changed).encode())
    node.exec(f"systemctl set-property --runtime {layout.BUILDS_SLICE} MemoryMax=1500M")
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")
    node.repository(
        "honest",
        "COPY honest.py /tmp/\nRUN python3 /tmp/honest.py",
        **{"honest.py": HONEST},
    )
    node.repository("many", "COPY many.py /tmp/\nRUN python3 /tmp/many.py", **{"many.py": MANY})
    for name in ("honest", "many"):
        node.start(name)
    many = node.wait("many", 180)
    assert many.phase == "Failed"
    assert "held more than its share" in many.log
    honest = node.wait("honest", 180)
    assert honest.phase == "Succeeded", honest.log
    assert str(500 << 20) in honest.log
