"""A first install whose fetches break: wrong bytes, a server that stops, a client and a host program that are killed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest

from binderbox import layout
from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.rig.internet.faults import Fault
from tests.rig.internet.releases import ASSETS
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(2400)]
SLOW_BYTES_S = 10_000_000


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_a_bare_host("broken-fetches", tmp_path_factory, pinned=True) as scene:
        yield scene


def test_wrong_bytes_are_never_used(scene: Scene) -> None:
    scene.internet.faults.add(ASSETS, r"/k3s$", Fault(body=b"not what it shall be"), times=None)
    try:
        error = scene.binderbox("install", "--yes").must(4).result["error"]
        assert "expected sha256" in error["cause"]
        assert "found" in error["cause"]
        assert not scene.host.exec(["sh", "-c", f"ls {layout.K3S} 2>/dev/null || true"])
    finally:
        scene.internet.faults.clear()


def sent(scene: Scene, file: str) -> int:
    return sum(one.sent for one in scene.internet.requests if one.path.endswith(file))


def whole(scene: Scene, file: str) -> int:
    """Bytes of a file of an artifact on the host; 0 where there is none."""
    found = scene.host.exec(["sh", "-c", f"stat -c %s {layout.ARTIFACTS}/*/{file} 2>/dev/null || true"])
    return int(found.split()[0]) if found.split() else 0


def test_the_same_command_goes_on_from_where_it_was_killed(scene: Scene) -> None:
    """The client first, then what fetches on the host; nearly no byte of a file comes twice."""
    scene.internet.requests.clear()
    scene.internet.rate_bytes_s = SLOW_BYTES_S
    words = ["--config", str(scene.client.home / "member.yaml"), "--versions", str(scene.versions), "--yes"]
    with scene.client.start(scene.host, "install", *words) as process:
        wait_until(lambda: whole(scene, "k3s.part") > 2 * SLOW_BYTES_S, 120, "a part of k3s")
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
    scene.host.exec(["sh", "-c", "pkill -KILL -f [b]inderbox.parts.fetch; pkill -KILL curl; true"])
    scene.internet.rate_bytes_s = None
    done = scene.binderbox("install", "--yes").must()
    assert len(done.result["launches"]) == 2
    assert sent(scene, "/k3s") < 1.1 * whole(scene, "k3s")
    assert scene.binderbox("install", "--yes").must().result["changed"] == []
