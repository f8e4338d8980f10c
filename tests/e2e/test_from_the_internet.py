"""A bare host with nothing but the Internet: install, launch, and nothing is asked or fetched a second time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox import layout
from tests.e2e.test_follow import gateway
from tests.rig.client import Client, Finished, render_member
from tests.rig.egress import site_settings
from tests.rig.host import RigHost
from tests.rig.internet.world import World

pytestmark = [pytest.mark.host, pytest.mark.timeout(1800)]


@dataclass
class Scene:
    host: RigHost
    client: Client
    internet: World
    versions: Path

    def binderbox(self, command: str, *args: str) -> Finished:
        words = ["--config", str(self.client.home / "member.yaml"), "--versions", str(self.versions)]
        return self.client.binderbox(self.host, command, *words, *args, "--json")

    def configure(self, **keys: object) -> None:
        """A member that trusts the Internet's authority, beside those of this site."""
        site = site_settings()
        own = {
            "extra_ca": [self.internet.ca_pem, *(site["extra_ca"] or [])],  # type: ignore[misc]
            "egress_allow": [
                {"network": f"{gateway(self.host)}/32", "ports": [443]},
                *(site["egress_allow"] or []),  # type: ignore[misc]
            ],
            "require_pins": False,
        }
        text = render_member({**own, **keys})
        (self.client.home / "member.yaml").write_text(text, encoding="utf-8")

    def pin(self, *, pinned: bool) -> None:
        self.versions.write_text(self.internet.versions(pinned=pinned))


def use_resolver(host: RigHost, address: str) -> None:
    """The rig's own file is mounted there, to be read alone."""
    script = "cat >/run/resolv.conf && mount --bind /run/resolv.conf /etc/resolv.conf"
    host.exec(["sh", "-c", script], stdin=f"nameserver {address}\n".encode())


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    host = RigHost.start("from-internet")
    home = tmp_path_factory.mktemp("client")
    try:
        with World(gateway(host), tmp_path_factory.mktemp("internet")) as internet:
            use_resolver(host, gateway(host))
            scene = Scene(host, Client(home, gateway(host)), internet, home / "versions.toml")
            scene.configure()
            scene.pin(pinned=False)
            yield scene
    finally:
        host.stop()


def test_the_shipped_pins_refuse_what_the_rig_serves(scene: Scene) -> None:
    """And nothing that they pin is asked for."""
    config = ["--config", str(scene.client.home / "member.yaml")]
    done = scene.client.binderbox(scene.host, "install", *config, "--yes", "--json")
    assert done.code in (3, 4), done.stderr
    assert not scene.host.exec(["sh", "-c", f"ls {layout.K3S} 2>/dev/null || true"])


def test_a_bare_host_becomes_a_member(scene: Scene) -> None:
    done = scene.binderbox("install", "--yes").must()
    assert len(done.result["launches"]) == 2
    assert "artifacts are not pinned" in done.stdout
    lock = json.loads(scene.host.exec(["cat", layout.RECORDS_FILE]))
    assert {one["asked_from"] for one in lock["artifacts"]} == {"client"}
    assert {"k3s", "traefik", "k8s-hub", "configurable-http-proxy"} <= {
        one["name"] for one in lock["artifacts"]
    }
    assert scene.internet.leaked == []


def test_again_nothing_is_changed_asked_or_fetched(scene: Scene) -> None:
    before = len(scene.internet.requests)
    assert scene.binderbox("install", "--yes").must().result["changed"] == []
    assert scene.internet.requests[before:] == []
