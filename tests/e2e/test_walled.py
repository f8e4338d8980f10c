"""A host whose only way out is the site's proxy, and that wants a login."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import quote

import pytest

from binderbox import layout
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import Scene, on_a_bare_host
from tests.rig.wall import PORT, SQUID, Wall

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]
USER, PASSWORD = "us", "er p@ss"


@pytest.fixture
def walled(
    rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Scene, Wall]]:
    """A bare host whose only way out is a proxy that wants a login."""
    if not SQUID.exists():
        pytest.skip("squid is not here: apt-get install squid")
    with on_a_bare_host("walled", tmp_path_factory, pinned=True) as scene:
        here = gateway(scene.host)
        with Wall(scene.host.address, here, login=f"{USER}:{PASSWORD}") as wall:
            scene.host.exec(
                ["sh", "-c", "cat > /etc/apt/apt.conf.d/90proxy"],
                stdin=f'Acquire::http::Proxy "{wall.url}";\n'.encode(),
            )
            yield scene, wall


def test_the_only_way_out_is_a_proxy_that_wants_a_login(walled: tuple[Scene, Wall]) -> None:
    scene, wall = walled
    way_out = {
        "proxy": {"http": wall.url, "https": wall.url},
        "egress_allow": [{"network": f"{wall.here}/32", "ports": [PORT]}],
    }
    scene.configure(**way_out, offline=False)
    told = next(
        one for one in scene.binderbox("install", "--yes").must(3).result["checks"] if one["id"] == "BBX-H31"
    )
    assert "the proxy wants a login" in told["measured"]
    assert "proxy-url" in told["fix"]
    url = wall.url.replace("//", f"//{USER}:{quote(PASSWORD)}@")
    (scene.client.home / "login").write_text(url)
    scene.client.binderbox(scene.host, "secrets set", "proxy-url", "--file", "login").must()
    lost = next(one for one in scene.binderbox("check").result["checks"] if one["id"] == "BBX-H31")
    assert lost["verdict"] == "pass"
    scene.configure(**way_out)  # repo2docker would ask hosts that the rig's Internet has not
    assert len(scene.binderbox("install", "--yes").must().result["launches"]) == 2
    assert scene.binderbox("install", "--yes").must().result["changed"] == []
    assert scene.binderbox("check").code == 0
    assert wall.tried == 0, wall.places
    assert {"github.com", "registry-1.docker.io", "quay.io"} <= {one.host for one in scene.internet.requests}
    words = scene.host.exec(["sh", "-c", "cat /proc/[0-9]*/cmdline | tr '\\0' ' '; journalctl --no-pager -q"])
    assert quote(PASSWORD) not in words
    assert scene.host.exec(["stat", "-c", "%a %U", layout.PROXY_FILE]).strip() == "600 root"
