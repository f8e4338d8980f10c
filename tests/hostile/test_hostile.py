"""Hostile repositories on a real node, five honest builds beside each: they waste their own build, and nothing else."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import pytest

from binderbox import layout
from binderbox.errors import StepFailed
from binderbox.parts.builder.units import STEP_TASKS
from tests.hostile.repositories import ALL, LEAVES, Repository
from tests.parts.builder.test_holding import tasks
from tests.parts.builder.test_on_host import REPOSITORIES, Node, node
from tests.waiting import wait_until

__all__ = ["node"]  # the fixture
pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(600)]
SLOTS = 4
HONEST = 5
WHILE_S = 15.0  # how long one that never ends is looked at


@pytest.fixture(scope="module")
def open_node(node: Node) -> Iterator[Node]:
    """With more than one slot, however few CPUs there are: with one, honest builds wait for it."""
    config = f"{layout.ETC}/door.json"
    before = node.exec(f"cat {config}")
    changed = json.loads(before) | {"build_slots": SLOTS}
    node.exec(f"cat > {config}", json.dumps(changed).encode())
    node.exec(f"systemctl set-property --runtime {layout.BUILDS_SLICE} TasksMax={SLOTS * STEP_TASKS}")
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")
    yield node
    node.exec(f"rm -rf /run/systemd/system.control/{layout.BUILDS_SLICE}.d && systemctl daemon-reload")
    node.exec(f"cat > {config}", before.encode())
    node.exec(f"systemctl restart {layout.DOOR_UNIT}")


def pressure(node: Node) -> set[str]:
    """Conditions of the node that are true and should not be."""
    found = json.loads(node.kubectl("get", "nodes", "-o", "json"))["items"][0]["status"]["conditions"]
    return {one["type"] for one in found if one["status"] == "True"} - {"Ready"}


def put(node: Node, repository: Repository) -> None:
    node.repository(repository.name, f"USER root\n{repository.dockerfile}", **repository.files)
    if repository.many_files:
        where = f"{REPOSITORIES}/{repository.name}/files"
        node.exec(f"mkdir -p {where} && cd {where} && seq {repository.many_files} | xargs touch")


def hostile(node: Node, repository: Repository) -> tuple[str, str]:
    """(how its build ended, its log); one that never ends is ended with its pod."""
    if repository.ends != LEAVES:
        ended = node.build(repository.name)
        return ended.phase, ended.log
    node.start(repository.name)
    deadline = time.monotonic() + WHILE_S
    while time.monotonic() < deadline:
        phase = json.loads(node.kubectl("get", "pod", f"build-{repository.name}", "-o", "json"))["status"]
        assert phase["phase"] in ("Pending", "Running"), phase
        time.sleep(1)
    log = node._log_so_far(repository.name)
    node.kubectl("delete", "pod", f"build-{repository.name}", "--grace-period=0", "--force")
    return LEAVES, log


@pytest.mark.parametrize("repository", ALL, ids=lambda one: one.name)
def test_it_wastes_its_own_build_alone(open_node: Node, repository: Repository) -> None:
    began = time.monotonic()
    put(open_node, repository)
    names = [f"honest-{repository.name}-{number}" for number in range(HONEST)]
    for name in names:
        open_node.repository(name, "RUN sleep 1 && echo honest-work")
    with ThreadPoolExecutor(HONEST) as pool:
        beside = [pool.submit(open_node.build, name) for name in names]
        how, log = hostile(open_node, repository)
        ended = [one.result() for one in beside]
    print(f"| {repository.name} | {how} | {time.monotonic() - began:.0f} s | ", end="")
    print(f"{sum(one.phase == 'Succeeded' for one in ended)} of {HONEST} | {sorted(pressure(open_node))} |")
    assert how == repository.ends, log
    assert repository.says in log
    assert [one.phase for one in ended] == ["Succeeded"] * HONEST, [one.log for one in ended]
    assert pressure(open_node) == set()
    wait_until(lambda: not tasks(open_node), 60, "no step is left")
    for name in (*names, repository.name):
        with suppress(StepFailed):
            open_node.kubectl(
                "delete", "pod", f"build-{name}", "--grace-period=0", "--force", "--ignore-not-found"
            )
