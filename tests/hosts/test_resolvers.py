"""Whom a host asks for names, as providers set it up: builds and pods can ask, search nothing, and a change is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from binderbox import layout
from tests.e2e.federated import serve_repository
from tests.e2e.test_follow import gateway
from tests.e2e.test_from_the_internet import use_resolver
from tests.rig import images
from tests.rig.client import DOMAIN, Client
from tests.rig.host import RigHost
from tests.rig.internet import REGISTRY, ZONE, Internet
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1200)]
BASE = f"{REGISTRY}/base:1"
WILDCARD = "192.0.2.66"
# Run as a build step: a host's search domain, found by its wildcard, would be tried before the name itself.
LOOK = f"""\
import socket, sys
def there(name):
    try:
        return socket.gethostbyname(name)
    except OSError as error:
        return str(error)
searched = [line for line in open("/etc/resolv.conf") if line.startswith("search")]
assert not searched, searched
assert there("api.github.test") != "{WILDCARD}"
assert there("{REGISTRY}") == sys.argv[1], there("{REGISTRY}")
"""


@dataclass
class Scene:
    host: RigHost
    client: Client
    internet: Internet

    def install(self) -> dict[str, object]:
        where = {"egress_allow": [{"network": f"{gateway(self.host)}/32", "ports": [443]}]}
        done = self.client.install(self.host, "--json", extra_ca=[self.internet.ca_pem], **where)
        return done.must().result


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    host = RigHost.start("resolvers")
    client = Client(tmp_path_factory.mktemp("client"))
    try:
        with Internet(gateway(host), tmp_path_factory.mktemp("internet")) as internet:
            internet.registry.add(images.sample_base_image(BASE))
            # the domain that DHCP gives, and its wildcard: whatever is searched there is found
            internet.names.addresses[f"*.dhcp.{ZONE}"] = WILDCARD
            scene = Scene(host, client, internet)
            use_resolver(host, gateway(host), f"search dhcp.{ZONE}")
            scene.install()
            yield scene
    finally:
        host.stop()


def test_the_proof_asks_for_a_name_that_nobody_knew(scene: Scene) -> None:
    """Once for the build's FROM, and once each for a build step and a pod: none has another's answer."""
    (unseen,) = {
        name for name in scene.internet.asked if name.endswith(f".{DOMAIN}") and len(name.split(".")[0]) == 16
    }
    assert scene.internet.asked.count(unseen) >= 2


def test_a_repository_comes_from_a_registry_that_is_found_by_name(scene: Scene) -> None:
    dockerfile = f"FROM {BASE}\nCOPY . .\nRUN python3 look.py {gateway(scene.host)}\n"
    url = serve_repository(scene.host, "named", dockerfile, **{"look.py": LOOK})
    scene.client.binderbox(scene.host, "launch", url, "--ref", "main", "--json").must()
    assert "base:1" in scene.internet.registry.pulled


def test_no_pod_searches_the_hosts_domain(scene: Scene) -> None:
    pod = ["kubectl", "-n", layout.HUB_NAMESPACE, "exec", "deploy/hub", "--", "cat", "/etc/resolv.conf"]
    text = scene.host.exec([layout.K3S, *pod])
    assert "svc.cluster.local" in text
    assert ZONE not in text


def test_resolvers_that_change_are_told_and_taken_over_by_an_install(scene: Scene) -> None:
    before = gateway(scene.host)
    use_resolver(scene.host, before, "nameserver 192.0.2.53")
    try:

        def told() -> str:
            state = json.loads(scene.host.exec(["cat", layout.WATCH_STATE]))
            return state["why"] if state["verdict"] == "moved" else ""

        why = wait_until(told, 120, "the watch")
        assert "192.0.2.53" in why
        shown = scene.client.binderbox(scene.host, "status", "--json").result
        assert any("192.0.2.53" in json.dumps(part) for part in shown["parts"])
        assert "moved" in scene.host.exec(["cat", layout.AUDIT_FILE])
        changed = scene.install()["changed"]
        assert any("resolver" in str(one) for one in changed)
        wait_until(lambda: not told(), 120, "the watch, content")
    finally:
        use_resolver(scene.host, before)
        scene.install()
