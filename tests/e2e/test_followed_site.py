"""A site whose only way out is its proxy, with mirrors and an authority of its own: a member that follows the federation from there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from binderbox import layout
from tests.e2e.federated import serve_repository
from tests.e2e.test_follow import gateway, run_follower, versions
from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.e2e.test_sites import BUILD, MIRRORS, images
from tests.rig.internet.federation import CHARTS, PRIME, REPOSITORY, Federation
from tests.rig.internet.mirror import MIRROR
from tests.rig.internet.registries import DOCKER_BLOBS
from tests.rig.wall import PORT, SQUID, Wall
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]
# By a build step: whom it asks in plain is told by the proxy alone
ASK = """\
import urllib.error, urllib.request
try:
    urllib.request.urlopen("http://github.com/step", timeout=20)
except urllib.error.HTTPError as refused:
    assert refused.read() == b"nothing is served in plain\\n"
"""


@dataclass
class Site:
    scene: Scene
    wall: Wall
    federation: Federation


@pytest.fixture(scope="module")
def site(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    if not SQUID.exists():
        pytest.skip("squid is not here: apt-get install squid")
    with (
        Federation(tmp_path_factory.mktemp("federation")) as federation,
        on_a_bare_host("followed-site", tmp_path_factory, pinned=True, more=federation.roles) as scene,
    ):
        here = gateway(scene.host)
        scene.internet.mirror.others |= federation.images
        with Wall(scene.host.address, here) as wall:
            scene.host.exec(
                ["sh", "-c", "cat > /etc/apt/apt.conf.d/90proxy"],
                stdin=f'Acquire::http::Proxy "{wall.url}";\n'.encode(),
            )
            scene.configure(
                proxy={"http": wall.url, "https": wall.url, "builds": True},
                mirrors=MIRRORS,
                egress_allow=[{"network": f"{here}/32", "ports": [PORT]}],
                follow=federation.follow,
            )
            yield Site(scene, wall, federation)


def test_it_is_installed_through_the_proxy_alone(site: Site) -> None:
    assert len(site.scene.binderbox("install", "--yes").must().result["launches"]) == 2
    by_proxy = {one.host for one in site.scene.internet.requests if one.peer != site.scene.host.address}
    assert {MIRROR, "github.com"} <= by_proxy
    pulled = [one for one in site.scene.internet.requests if one.host == MIRROR and "/blobs/" in one.path]
    assert pulled
    assert not [one for one in site.scene.internet.requests if one.host == DOCKER_BLOBS]
    assert site.wall.tried == 0, site.wall.places


def test_a_build_from_a_public_image_and_its_steps_go_there_too(site: Site) -> None:
    host = site.scene.host
    (image,) = (name for name in images(site.scene) if name.startswith("docker.io/library/traefik"))
    host.exec([layout.K3S, "ctr", "-n", "k8s.io", "images", "rm", image])
    before = len(site.scene.internet.requests)
    words = BUILD.format(image=image, buildctl=f"{layout.BIN}/buildctl", socket=layout.BUILDKIT_SOCKET)
    host.exec(["sh", "-c", words], timeout_s=300)
    assert {one.host for one in site.scene.internet.requests[before:]} == {MIRROR}
    (base,) = set(re.findall(r'"(quay\.io/jupyter/base-notebook:[^"]+)"', site.scene.versions.read_text()))
    url = serve_repository(host, "asks", f"FROM {base}\nCOPY . .\nRUN python3 ask.py\n", **{"ask.py": ASK})
    site.scene.client.binderbox(host, "launch", url, "--ref", "main", "--json").must()
    wait_until(lambda: "http://github.com/step" in site.wall.log, 20, "the proxy's log")
    assert site.wall.tried == 0, site.wall.places


def test_the_follower_moves_through_them(site: Site) -> None:
    wanted = site.federation.release(2)
    site.scene.host.exec(["systemctl", "start", "binderbox-follow.service"], timeout_s=900)
    told = run_follower(site.scene.host)  # nothing to do any more
    assert (told["verdict"], told["own"]) == ("equal", wanted), told
    assert versions(site.scene.host) == wanted
    assert {PRIME, REPOSITORY, CHARTS} <= {one.host for one in site.scene.internet.requests}
    assert any("followed/" in one.path for one in site.scene.internet.requests if one.host == MIRROR)
    assert site.wall.tried == 0, site.wall.places
