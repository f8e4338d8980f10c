"""A member whose disk runs short: what gives way, in which order, until launches are refused; on one disk and on two.

Somebody's file grows past each floor in turn. Kubernetes never sees pressure, and who launches meanwhile is served.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import pytest

from binderbox import layout
from binderbox.errors import NoAnswer
from tests.e2e.visitors import visited
from tests.hostile.test_hostile import pressure
from tests.output.schemas import validate_output
from tests.parts.builder.test_on_host import Node, tag_of
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(2400)]
GB = 1_000_000_000
RANCHER = "/var/lib/rancher"  # where the disk of images is mounted here
SEEDS = 3
# What was pushed within the longest build is never taken, and no clock can be moved here: the object store refuses it.
SWEEP = """
import json, sys
from pathlib import Path
from binderbox import layout
from binderbox.parts.agent.jobs import config, retention
retention.YOUNG_S = -5.0
assert retention.run(config.parse_config(Path(layout.AGENT_CONFIG).read_text()), {"free_bytes": int(sys.argv[1])})
print(Path(layout.RETENTION_STATE).read_text())
"""


@dataclass
class Short:
    node: Node
    client: Client
    images: str
    data: str

    @property
    def host(self) -> RigHost:
        return self.node.host

    def floor(self, what: str, name: str) -> int:
        found = {
            one["name"]: one["floors"][what] for one in self.state()["file_systems"] if what in one["floors"]
        }
        return int(found[name] if name in found else found["images"])

    def state(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.node.exec(f"cat {layout.DISK_STATE}"))
        return found

    def free(self, place: str) -> int:
        return int(self.node.exec(f"df --output=avail -B1 {place} | tail -n 1"))

    def leave(self, free: int, place: str) -> None:
        """Somebody's file, so large that so much is free."""
        now = self.node.exec(
            f"mkdir -p {place}/somebody; stat -c %s {place}/somebody/films 2>/dev/null || echo 0"
        )
        size = max(0, int(now) + self.free(place) - free)
        self.node.exec(
            f"truncate -s 0 {place}/somebody/films; fallocate -l {max(1, size)} {place}/somebody/films"
        )

    def look(self) -> dict[str, Any]:
        self.node.exec("systemctl start binderbox-disk.service")
        return self.state()

    def made_room(self) -> str:
        lines = self.node.exec(f"cat {layout.AUDIT_FILE}").splitlines()
        return "; ".join(one["what"] for one in map(json.loads, lines) if one["event"] == "made-room")


@pytest.fixture(scope="module", params=[None, 30], ids=["one disk", "two disks"])
def short(
    rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest
) -> Iterator[Short]:
    host = RigHost.start("short", disk_gb=30, data_disk_gb=request.param)
    client = Client(tmp_path_factory.mktemp("client"))
    try:
        client.install(host, "--json").must()
        data = layout.DATA if request.param else RANCHER
        yield Short(Node(host), client, RANCHER, data)
    finally:
        host.stop()


def test_what_costs_users_least_gives_way_first_and_launches_go_on(short: Short) -> None:
    node, since = short.node, datetime.now(UTC)
    for number in range(SEEDS):
        node.repository(f"seed-{number}", "USER root\nRUN head -c 400000000 /dev/urandom >/opt/much")
        assert node.build(f"seed-{number}").phase == "Succeeded"
        node.until_told("pushed", within_s=120, tag=tag_of(f"seed-{number}"))
        node.delete(f"build-seed-{number}")
    node.repository(
        "cached", "USER root\nRUN --mount=type=cache,target=/c head -c 1200000000 /dev/zero >/c/x"
    )
    assert node.build("cached").phase == "Succeeded"
    node.delete("build-cached")
    short.look()
    with visited(short.host) as visitors, visitors:
        short.leave(short.floor("cache", "images") - GB // 2, short.images)
        short.look()
        assert short.free(short.images) >= short.floor("cache", "images")
        gave_gb = re.findall(r"BuildKit's cache gave up ([0-9.]+) GB", told := short.made_room())
        # the one cache that is there, by the job's own word: what containerd lets go of meanwhile is free, too
        assert 0.5 <= sum(map(float, gave_gb)) < 1.5, told
        assert "images" not in told, "no more gave way than was short"

        short.leave(short.floor("unused", "images") - GB // 2, short.images)
        short.look()
        assert short.free(short.images) >= short.floor("unused", "images")
        assert "images that nobody used were removed" in short.made_room()
        launched = visitors.launched
        wait_until(lambda: visitors.failed or visitors.launched >= launched + 2, 300, "launches go on")

        bucket = int(node.exec(f"du -sb {layout.DATA}/objectstore/{layout.BUCKET} | cut -f1"))
        short.leave(short.floor("registry", "data") - GB // 2, short.data)
        said = json.loads((text := node.exec(_sweep(GB // 2)))[text.index("{") :])
        assert said["freed_bytes"] >= GB // 2
        left = int(node.exec(f"du -sb {layout.DATA}/objectstore/{layout.BUCKET} | cut -f1"))
        assert bucket - left > 0.9 * said["freed_bytes"]
        short.look()
        launched = visitors.launched
        wait_until(lambda: visitors.failed or visitors.launched >= launched + 2, 300, "launches go on")
    assert visitors.failed == []
    assert pressure(node, since) == set()


def _sweep(free_bytes: int) -> str:
    return f"env {' '.join(layout.AGENT_PYTHON)} python3 -c '{SWEEP}' {free_bytes}"


def test_below_the_last_floor_launches_are_refused_and_it_is_said_who_fills_the_disk(short: Short) -> None:
    node, since = short.node, datetime.now(UTC)
    with visited(short.host) as visitors:
        for _ in range(6):  # until nothing is left that can give way
            short.leave(short.floor("launches", "data") - 300_000_000, short.data)
            short.node.exec(f"chown nobody {short.data}/somebody")
            if (said := short.look())["refused"]:
                break
        assert said["refused"], said
        if short.data == RANCHER:  # what lies in our own directory is nobody else's
            assert f"{short.data}/somebody (" in said["why"]
            assert "of nobody)" in said["why"]
        wait_until(lambda: _refused(visitors), 30, "no launch is let in")
        status = short.client.binderbox(short.host, "status", "--json")
        assert [one["verdict"] for one in status.result["checks"] if one["id"] == "BBX-S02"] == ["fail"]
        shown = short.client.binderbox(short.host, "disk", "--json")
        assert shown.code == 5
        assert validate_output(shown.stdout, "disk")["refused"] == said["refused"]
        print(short.client.binderbox(short.host, "disk").stdout)
        assert pressure(node, since) == set()
        node.exec(f"rm -r {short.data}/somebody")
        assert short.look()["refused"] == []
        wait_until(lambda: not _refused(visitors), 60, "launches are let in again")
    assert pressure(node, since) == set()


def _refused(visitors: Any) -> str:
    try:
        visitors.once()
    except NoAnswer as error:
        time.sleep(1)
        return str(error)
    return ""
