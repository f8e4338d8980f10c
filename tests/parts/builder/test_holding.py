"""Strangers' code on a real node: it wastes its own build, and nothing else; restarts leave nothing of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from binderbox import layout
from tests.parts.builder.test_on_host import IN_POD, REPOSITORIES, Node, node
from tests.waiting import wait_until

__all__ = ["node"]  # the fixture
pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
RAW = """
import socket
for family, kind in ((socket.AF_PACKET, socket.SOCK_RAW), (socket.AF_INET, socket.SOCK_RAW)):
    try:
        socket.socket(family, kind, 1)
        print("RAW")
    except PermissionError:
        print("refused")
"""
ENDLESS = "import os\nwith open('/endless', 'wb') as out:\n while True:\n  out.write(os.urandom(1 << 20))\n"
GB = 1_000_000_000
K3S_UNIT = "k3s.service"


def tasks(node: Node) -> set[str]:
    """Containerd's tasks of build steps."""
    found = node.exec(f"grep -l '{layout.BUILDS_SLICE}:bbx-containerd:' {layout.TASKS}/*/config.json || true")
    return {line.split("/")[-2] for line in found.split()}


def containers(node: Node) -> set[str]:
    """Containerd's, those of pods among them."""
    return set(node.exec(f"{layout.K3S} ctr -n k8s.io containers ls -q").split())


def started(node: Node, name: str, seconds: int) -> None:
    """A build whose step is known to run."""
    node.repository(name, f"RUN echo under-way; sleep {seconds}")
    node.start(name)
    node.until_said(name, "under-way")
    wait_until(lambda: node.processes(f"sleep {seconds}"), 15, "the step is under way")


def test_a_build_pod_makes_no_raw_packets(node: Node) -> None:
    node.write("raw.py", RAW)
    node.start("raw", "python3", f"{IN_POD}/raw.py")
    assert node.wait("raw").log.split() == ["refused", "refused"]


@pytest.mark.long
def test_a_step_is_marked_as_its_builds(node: Node) -> None:
    started(node, "marked", 7171)
    (task,) = tasks(node)
    spec = json.loads(node.exec(f"cat {layout.TASKS}/{task}/config.json"))
    told = [one for one in spec["process"]["env"] if one.startswith("no_proxy=")]
    assert "bbx-build-" in told[-1]
    node.delete("build-marked")
    wait_until(lambda: not tasks(node), 20, "its step ends with its pod")


def api_answers(node: Node) -> bool:
    return node.exec(f"{layout.K3S} kubectl get --raw /readyz 2>/dev/null || true").strip() == "ok"


@pytest.mark.parametrize("unit", [layout.BUILDKITD_UNIT, layout.DOOR_UNIT, K3S_UNIT])
def test_a_crash_leaves_no_step_and_the_next_build_works(node: Node, unit: str) -> None:
    name = f"crash-{unit.removeprefix('binderbox-').partition('.')[0]}"
    started(node, name, 7272)
    before = containers(node)
    node.exec(f"systemctl kill --signal=KILL --kill-whom=main {unit}")
    wait_until(lambda: api_answers(node), 180, "the API server")
    if unit != layout.DOOR_UNIT:  # the same build is tried once more
        node.until_said(name, "Building once more")
        node.delete(f"build-{name}")
    else:
        assert node.wait(name).phase == "Failed"
    wait_until(lambda: not node.processes("sleep 7272"), 40, "no step is left")
    wait_until(lambda: not tasks(node), 20, "no task is left")
    assert containers(node) <= before
    node.repository(f"after-{name}", "RUN echo works")
    ended = node.build(f"after-{name}")
    assert ended.phase == "Succeeded", ended.log


def test_a_step_that_runc_left_frozen_ends_all_the_same(node: Node) -> None:
    """On cgroup v1 what is frozen does not die; runc freezes a step for a moment as it begins."""
    if not node.exec(f"ls -d {layout.BUILDS_FREEZER} 2>/dev/null || true"):
        pytest.skip("this host has cgroup v2, where a frozen process dies")
    node.repository("frozen", "RUN sleep 600")
    node.start("frozen")
    (task,) = wait_until(lambda: tasks(node), 60, "its step")
    state = f"{layout.BUILDS_FREEZER}/bbx-containerd-{task}.scope/freezer.state"
    wait_until(lambda: node.exec(f"ls {state} 2>/dev/null || true"), 60, "its freezer")  # after its bundle
    node.exec(f"echo FROZEN > {state}")
    node.exec(f"systemctl kill --signal=KILL --kill-whom=main {layout.BUILDKITD_UNIT}")
    wait_until(lambda: task not in tasks(node), 60, "the frozen step has ended")
    node.delete("build-frozen")


@pytest.fixture
def floor(node: Node) -> Iterator[int]:
    """A floor of free disk a little below what is free; its distance in bytes."""
    config = f"{layout.ETC}/door.json"
    before = node.exec(f"cat {config}")
    free = int(node.exec("df --output=avail -B1 /var/lib/binderbox | tail -n 1"))
    mb = (free - GB) // 1_000_000
    changed = json.loads(before) | {"free_floor_mb": mb, "free_ceiling_mb": mb, "eviction_mb": 1}
    node.exec(f"cat > {config}", json.dumps(changed).encode())
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")
    yield GB
    node.exec(f"cat > {config}", before.encode())
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")


@pytest.mark.long  # the disk is this machine's, and other hosts of a run write to it
def test_a_step_that_fills_the_disk_ends_and_an_honest_build_beside_it_does_not(
    node: Node, floor: int
) -> None:
    node.repository(
        "filler", "USER root\nCOPY fill.py /tmp/\nRUN python3 /tmp/fill.py", **{"fill.py": ENDLESS}
    )
    node.repository("honest", "RUN sleep 8 && echo still-here")
    with ThreadPoolExecutor(2) as pool:
        honest = pool.submit(node.build, "honest")
        filler = node.build("filler")
        assert filler.phase == "Failed"
        assert "The disk of this node ran short, and this build wrote most of it: " in filler.log
        assert " GB in " in filler.log, "what its step had written was seen"
        assert honest.result().phase == "Succeeded", honest.result().log
    told = json.loads(node.exec(f"cat {layout.DOOR_STATUS}"))["told"]
    assert "build-ended" in {one["what"] for one in told}
    assert '"event": "build-ended"' in node.exec(f"cat {layout.AUDIT_FILE}")
    wait_until(lambda: not tasks(node), 20, "no task is left")


@pytest.mark.long
def test_cache_mounts_are_not_another_commits(node: Node) -> None:
    look = 'for one in /cache/*; do echo "saw $one"; done; touch /cache/left'
    for name in ("keeps", "looks"):
        node.repository(name, f"USER root\nRUN --mount=type=cache,target=/cache {look}")
        ended = node.build(name)
        assert ended.phase == "Succeeded", ended.log
        assert "saw /cache/left" not in ended.log
        assert "saw /cache/*" in ended.log


def test_a_context_is_gone_from_the_node_with_its_build(node: Node) -> None:
    wait_until(lambda: not node.exec("ls /var/lib/binderbox/door/contexts"), 10, "no context is left")


FORBIDDEN = """
import http.server, sys
class Counted(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        open("/run/arrived", "a").write(self.client_address[0] + "\\n")
        self.send_response(200); self.end_headers(); self.wfile.write(b"x")
http.server.ThreadingHTTPServer(("0.0.0.0", 8999), Counted).serve_forever()
"""
ASKS = """
d=$(mktemp -d); while [ -e /run/asking ]; do
  printf 'FROM scratch\\nADD http://%s:8999/%s /x\\n' {address} "$(date +%N)" >$d/Dockerfile
  timeout 40 {buildctl} --addr unix://{socket} build --frontend dockerfile.v0 --local context=$d --local dockerfile=$d 2>&1 |
    grep -q 'dial tcp' && date +%s.%N >>/run/asked  # it was tried, and held back
done
"""


@pytest.mark.long
@pytest.mark.timeout(3000)  # twenty times what BuildKit takes to give up
def test_no_fetch_of_buildkitds_own_arrives_where_it_must_not_however_often_it_is_restarted(
    node: Node,
) -> None:
    node.write("forbidden.py", FORBIDDEN)
    asks = ASKS.format(
        address=node.host.address, buildctl=f"{layout.BIN}/buildctl", socket=layout.BUILDKIT_SOCKET
    )
    node.exec("rm -f /run/arrived /run/asked; touch /run/asking")
    node.exec(f"systemd-run -q --unit=bbx-forbidden python3 {REPOSITORIES}/forbidden.py")
    wait_until(lambda: node.exec("curl -s http://127.0.0.1:8999/ || true") == "x", 10, "who counts")
    node.exec("rm /run/arrived")
    node.write("asks.sh", asks)
    for number in range(3):
        node.exec(f"systemd-run -q --unit=bbx-asks-{number} sh {REPOSITORIES}/asks.sh")
    try:
        for _ in range(20):
            node.exec(f"systemctl restart {layout.BUILDKITD_UNIT}")
            asked = len(node.exec("cat /run/asked 2>/dev/null || true").split())
            wait_until(
                lambda asked=asked: len(node.exec("cat /run/asked 2>/dev/null || true").split()) > asked,
                120,  # what is held back by BPF is met with silence, of which BuildKit has enough after 30 s
                "a fetch after a restart",
            )
    finally:
        node.exec("rm -f /run/asking; systemctl stop bbx-forbidden 'bbx-asks-*'")
    assert node.exec("cat /run/arrived 2>/dev/null || true") == ""
