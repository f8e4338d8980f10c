"""A bare host with nothing but the Internet: install, launch, and nothing is asked or fetched a second time."""

from __future__ import annotations

import json
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from binderbox import layout
from tests.e2e.test_follow import gateway
from tests.rig.client import Client, Finished, render_member
from tests.rig.egress import site_settings
from tests.rig.host import RigHost
from tests.rig.internet import bodies
from tests.rig.internet.faults import Fault
from tests.rig.internet.replies import Role
from tests.rig.internet.world import World
from tests.waiting import wait_until

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


TAKE_ITS_PLACE = (
    "grep -q '/etc/resolv.conf.*tmpfs' /proc/mounts || mount --bind /run/resolv.conf /etc/resolv.conf"
)


def use_resolver(host: RigHost, address: str, *further: str) -> None:
    """The rig's own file is mounted there, to be read alone; ours takes its place once, since mounts are shared.

    Each further one would double them all, to the kernel's limit of 100,000.
    """
    script = f"cat >/run/resolv.conf; {TAKE_ITS_PLACE}"
    text = "".join(f"{line}\n" for line in (f"nameserver {address}", *further))
    host.exec(["sh", "-c", script], stdin=text.encode())


@contextmanager
def on_a_bare_host(
    name: str, directories: pytest.TempPathFactory, *, pinned: bool, more: Mapping[str, Role] = {}
) -> Iterator[Scene]:
    """A host that finds this Internet alone, and a config and pins that go with it; `more` are hosts of it by name."""
    host, home = RigHost.start(name), directories.mktemp("client")
    try:
        with World(gateway(host), directories.mktemp("internet"), more) as internet:
            use_resolver(host, gateway(host))
            scene = Scene(host, Client(home, gateway(host)), internet, home / "versions.toml")
            scene.configure()
            scene.pin(pinned=pinned)
            yield scene
    finally:
        host.stop()


@pytest.fixture(scope="module")
def scene(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with on_a_bare_host("from-internet", tmp_path_factory, pinned=False) as scene:
        yield scene


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


def test_its_artifacts_are_listed_with_whose_word_each_has(scene: Scene) -> None:
    rows = {one["name"]: one for one in scene.binderbox("artifacts").must().result["artifacts"]}
    assert all(one["here"] and one["trust"] == "recorded" and one["size_mb"] > 0 for one in rows.values())
    assert rows["k3s"]["stated_by"] == "github.com, api.github.com"
    assert rows["traefik"]["stated_by"] == "registry-1.docker.io"
    assert rows["k8s-hub"]["stated_by"] == "quay.io"


@pytest.mark.long
def test_no_restart_pulls_an_image_again(scene: Scene) -> None:
    asked = len(scene.internet.requests)
    host = scene.host
    host.exec(["systemctl", "restart", layout.K3S_UNIT], timeout_s=300)
    host.reboot()
    use_resolver(host, gateway(host))
    wait_until(lambda: scene.binderbox("check").code == 0, 600, "the member after a reboot")
    assert scene.internet.requests[asked:] == []


def images(host: RigHost, *filters: str) -> set[str]:
    return set(
        host.exec([layout.K3S, "ctr", "--namespace", "k8s.io", "images", "list", "-q", *filters]).split()
    )


@pytest.mark.long
def test_a_pass_of_the_kubelets_image_gc_takes_none_of_ours(scene: Scene) -> None:
    """Every five minutes, and with a highest age it takes each image that nobody runs, unless it is pinned."""
    host, dropin = scene.host, posixpath.join(posixpath.dirname(layout.KUBELET_CONFIG), "99-gc.conf")
    pinned = images(host, f'labels."{layout.IMAGE_PIN}"==pinned')
    samples = {name for name in images(host) if name.startswith(layout.IMAGE_PREFIX)}
    assert samples
    ages = "imageMinimumGCAge: 10s\nimageMaximumGCAge: 30s\n"
    text = f"apiVersion: kubelet.config.k8s.io/v1beta1\nkind: KubeletConfiguration\n{ages}"
    host.exec(["sh", "-c", 'cat >"$1"', "sh", dropin], stdin=text.encode())
    host.exec(["systemctl", "restart", layout.K3S_UNIT], timeout_s=300)
    try:
        wait_until(lambda: not samples & images(host), 900, "the kubelet's image GC")
        assert images(host) >= pinned
    finally:
        host.exec(["rm", "-f", dropin])
        host.exec(["systemctl", "restart", layout.K3S_UNIT], timeout_s=300)


@pytest.mark.long
def test_a_tag_that_moved_is_told_and_nothing_is_taken_until_somebody_decides(scene: Scene) -> None:
    """An install asks nobody again; `check --upstream` does, and the host then knows of the dispute."""
    assert scene.binderbox("check", "--upstream").must().result
    before = json.loads(scene.host.exec(["cat", layout.RECORDS_FILE]))
    (helm,) = (one["sha256"] for one in before["artifacts"] if one["name"] == "helm")
    moved = helm[::-1]
    scene.internet.faults.add("get.helm.sh", r"\.sha256sum$", Fault(body=bodies.other_sum(helm)), times=None)
    try:
        told = scene.binderbox("check", "--upstream").must(5).result
        assert any(one["id"] == "BBX-T01" and moved in one["measured"] for one in told["checks"])
        refused = scene.binderbox("install", "--yes").must(4)
        assert f"--accept helm={helm}" in refused.result["error"]["remedy"]
        assert "disputed" in scene.host.exec(["cat", layout.AUDIT_FILE])
        scene.binderbox("install", "--yes", "--accept", f"helm={helm}").must()
        assert scene.binderbox("install", "--yes").must().result["changed"] == []
    finally:
        scene.internet.faults.clear()


@pytest.mark.long
def test_where_only_pins_count_what_is_stated_is_refused(scene: Scene) -> None:
    """`extra_ca` implies it, because whoever ends TLS there can state anything."""
    scene.configure(require_pins=None)
    asked = len(scene.internet.requests)
    try:
        refused = scene.binderbox("install", "--yes").must(4).result["error"]
        assert "only what is pinned may be used" in refused["message"]
        assert scene.internet.requests[asked:] == []
        scene.pin(pinned=True)
        scene.binderbox("install", "--yes").must()
        assert {one["trust"] for one in scene.binderbox("artifacts").must().result["artifacts"]} == {"pinned"}
    finally:
        scene.configure()
        scene.pin(pinned=False)
