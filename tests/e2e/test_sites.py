"""A site with mirrors of its own: the host asks no registry, for the install or for a build."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from binderbox import layout
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.rig.egress import site_settings
from tests.rig.internet import registries
from tests.rig.internet.faults import Fault
from tests.rig.internet.mirror import MIRROR

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]
REGISTRIES = (registries.DOCKER, registries.DOCKER_AUTH, registries.DOCKER_BLOBS, registries.QUAY)
MIRRORS = [{"registry": name, "endpoints": [f"https://{MIRROR}"]} for name in registries.PLACES]
BUILD = """
d=$(mktemp -d) && echo 'FROM {image}' > $d/Dockerfile &&
{buildctl} --addr unix://{socket} build --frontend dockerfile.v0 --local context=$d --local dockerfile=$d 2>&1
"""


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_a_bare_host("site", tmp_path_factory, pinned=True) as scene:
        scene.configure(mirrors=MIRRORS, offline=False)
        for host in REGISTRIES:
            scene.internet.faults.add(host, "", Fault(status=503), times=None)
        yield scene


def asked(scene: Scene) -> set[str]:
    """Of whom the host asked anything; the client asks publishers itself, how large things are."""
    return {one.host for one in scene.internet.requests if one.peer == scene.host.address}


def test_a_mirror_that_builds_may_not_reach_stops_the_install_before_anything_changes(scene: Scene) -> None:
    scene.configure(mirrors=MIRRORS, offline=False, egress_allow=site_settings()["egress_allow"])
    error = scene.binderbox("install", "--yes").must(3).result
    told = next(one for one in error["checks"] if one["id"] == "BBX-H31")
    assert told["measured"] == f"{MIRROR} is {gateway(scene.host)}"
    assert scene.host.ssh("test", "-e", layout.ETC).returncode == 1
    scene.configure(mirrors=MIRRORS)  # offline: repo2docker would ask hosts that the rig's Internet has not


def test_everything_is_pulled_from_the_mirror(scene: Scene) -> None:
    assert len(scene.binderbox("install", "--yes").must().result["launches"]) == 2
    assert MIRROR in asked(scene)
    assert asked(scene).isdisjoint(REGISTRIES)
    assert scene.binderbox("install", "--yes").must().result["changed"] == []


def test_a_build_from_a_public_image_goes_there_too(scene: Scene) -> None:
    (image,) = (name for name in images(scene) if name.startswith("docker.io/library/traefik"))
    scene.host.exec([layout.K3S, "ctr", "-n", "k8s.io", "images", "rm", image])
    before = len(scene.internet.requests)
    words = BUILD.format(image=image, buildctl=f"{layout.BIN}/buildctl", socket=layout.BUILDKIT_SOCKET)
    scene.host.exec(["sh", "-c", words], timeout_s=300)
    new = {one.host for one in scene.internet.requests[before:] if one.peer == scene.host.address}
    assert new == {MIRROR}


def images(scene: Scene) -> list[str]:
    return scene.host.exec([layout.K3S, "ctr", "-n", "k8s.io", "images", "list", "-q"]).split()
