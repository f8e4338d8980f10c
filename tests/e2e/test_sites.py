"""Sites with walls: mirrors in the place of registries, and a proxy that is the only way out."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from binderbox import layout
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.rig.egress import site_settings
from tests.rig.internet import registries
from tests.rig.internet.faults import Fault
from tests.rig.internet.mirror import MIRROR
from tests.rig.wall import PORT, SQUID, Wall

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
        scene.configure(mirrors=MIRRORS)
        for host in REGISTRIES:
            scene.internet.faults.add(host, "", Fault(status=503), times=None)
        yield scene


def asked(scene: Scene) -> set[str]:
    return {one.host for one in scene.internet.requests}


def test_a_mirror_that_builds_may_not_reach_stops_the_install_before_anything_changes(scene: Scene) -> None:
    scene.configure(mirrors=MIRRORS, egress_allow=site_settings()["egress_allow"])
    error = scene.binderbox("install", "--yes").must(3).result
    told = next(one for one in error["checks"] if one["id"] == "BBX-H31")
    assert told["measured"] == f"{MIRROR} is {gateway(scene.host)}"
    assert not scene.host.exists(layout.ETC)
    scene.configure(mirrors=MIRRORS)


def test_everything_is_pulled_from_the_mirror(scene: Scene) -> None:
    assert len(scene.binderbox("install", "--yes").must().result["launches"]) == 2
    assert MIRROR in asked(scene)
    assert asked(scene).isdisjoint(REGISTRIES)
    assert scene.binderbox("install", "--yes").must().result["changed"] == []


def test_a_build_from_a_public_image_goes_there_too(scene: Scene) -> None:
    image = next(name for name in images(scene) if name.startswith("docker.io/library/traefik:"))
    scene.host.exec([layout.K3S, "ctr", "-n", "k8s.io", "images", "rm", image])
    before = len(scene.internet.requests)
    words = BUILD.format(image=image, buildctl=f"{layout.BIN}/buildctl", socket=layout.BUILDKIT_SOCKET)
    scene.host.exec(["sh", "-c", words], timeout_s=300)
    new = {one.host for one in scene.internet.requests[before:]}
    assert new == {MIRROR}


@pytest.fixture
def walled(
    rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, Wall]]:
    """A bare host whose only way out is a proxy that wants a login."""
    if not SQUID.exists():
        pytest.skip("squid is not here: apt-get install squid")
    with on_a_bare_host("walled", tmp_path_factory, pinned=True) as scene:
        here = gateway(scene.host)
        with Wall(scene.host.address, here, tmp_path_factory.mktemp("wall"), login="us:er p@ss") as wall:
            scene.host.exec(
                ["sh", "-c", "cat > /etc/apt/apt.conf.d/90proxy"],
                stdin=f'Acquire::http::Proxy "{wall.url}";\n'.encode(),
            )
            scene.configure(
                proxy={"http": wall.url, "https": wall.url},
                egress_allow=[{"network": f"{here}/32", "ports": [PORT]}],
            )
            yield scene, wall


def test_the_only_way_out_is_a_proxy_that_wants_a_login(walled: tuple[Scene, Wall]) -> None:
    scene, wall = walled
    told = next(
        one for one in scene.binderbox("install", "--yes").must(3).result["checks"] if one["id"] == "BBX-H31"
    )
    assert "the proxy wants a login" in told["measured"]
    assert "proxy-url" in told["fix"]
    url = wall.url.replace("//", f"//{quote('us')}:{quote('er p@ss', safe='')}@")
    scene.host.exec(
        ["sh", "-c", f"umask 077; mkdir -p {layout.SECRETS}; cat > {layout.SECRETS}/proxy-url"],
        stdin=url.encode(),
    )
    assert len(scene.binderbox("install", "--yes").must().result["launches"]) == 2
    assert scene.binderbox("install", "--yes").must().result["changed"] == []
    assert scene.binderbox("check").code == 0
    assert wall.tried == 0
    assert {"github.com", "registry-1.docker.io", "quay.io"} <= asked(scene)
    words = scene.host.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl --no-pager -q"])
    assert quote("er p@ss", safe="") not in words
    assert scene.host.exec(["stat", "-c", "%a %U", layout.PROXY_FILE]).strip() == "600 root"


def images(scene: Scene) -> list[str]:
    return scene.host.exec([layout.K3S, "ctr", "-n", "k8s.io", "images", "list", "-q"]).split()
