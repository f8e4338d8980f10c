"""A member whose images and data lie on disks of their own: each has its ceilings, and a full one costs the other nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.rig.client import Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1500)]
IMAGES_GB, DATA_GB = 30, 20


@pytest.fixture(scope="module")
def member(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    host = RigHost.start("disks", disk_gb=IMAGES_GB, data_disk_gb=DATA_GB)
    client = Client(tmp_path_factory.mktemp("client"))
    try:
        yield Installed(host, client, client.install(host, "--json").must())
    finally:
        host.stop()


def planned(member: Installed) -> dict[str, Any]:
    done = member.client.binderbox(member.host, "plan", "--json").must()
    return {one["key"]: one["value"] for one in done.result["values"]}


def free_gb(member: Installed, path: str) -> float:
    return int(member.host.exec(["sh", "-c", f"df -PB1 {path} | tail -n 1"]).split()[3]) / 1e9


def test_each_disk_has_ceilings_of_its_own_and_a_second_run_plans_the_same(member: Installed) -> None:
    values = planned(member)
    images = values["disk.images_gb"] + values["disk.buildkit_gb"] + values["disk.logs_gb"] + 3
    assert images <= 0.8 * IMAGES_GB
    assert values["disk.objectstore_gb"] <= 0.8 * DATA_GB
    assert values["disk.objectstore_gb"] > 0.5 * DATA_GB, "it does not share the images' disk"
    running = json.loads(
        member.host.exec(
            [
                "sh",
                "-c",
                f"{layout.K3S} kubectl get --raw /api/v1/nodes/$({layout.K3S} kubectl get nodes -o name | cut -d/ -f2)/proxy/configz",
            ]
        )
    )["kubeletconfig"]
    assert running["evictionHard"]["imagefs.available"] == f"{values['disk.eviction_hard_gb']:g}G"
    assert member.client.install(member.host, "--json").must().result["changed"] == []
    status = member.client.binderbox(member.host, "status", "--json").must().result
    assert {"disk", "disk of images"} <= {one["name"] for one in status["gauges"]}


def test_a_data_disk_that_is_full_stops_no_launch(member: Installed) -> None:
    """Pushes are refused meanwhile, and wait."""
    left = free_gb(member, layout.DATA) - 0.2
    member.host.exec(["fallocate", "-l", str(int(left * 1e9)), f"{layout.DATA}/somebodys"])
    try:
        member.client.binderbox(member.host, "launch", "--stop", "--json").must()
        assert pressure(member) == set()
    finally:
        member.host.exec(["rm", f"{layout.DATA}/somebodys"])


def pressure(member: Installed) -> set[str]:
    words = [layout.K3S, "kubectl", "get", "nodes", "-o", "json"]
    found = json.loads(member.host.exec(words))["items"][0]["status"]["conditions"]
    return {one["type"] for one in found if one["type"] != "Ready" and one["status"] == "True"}


def test_the_uninstall_finds_both(member: Installed) -> None:
    gone = member.client.binderbox(member.host, "uninstall", "--purge", "--yes", "--json").must().result
    assert gone["leftovers"] == []
