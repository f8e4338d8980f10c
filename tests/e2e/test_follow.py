"""The prime's versions change under a member: it follows, launches go on, and an install afterwards changes nothing."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.federation.following.followed import parse
from tests.conftest import Installed
from tests.e2e.visitors import visited
from tests.federation.deployment import Deployment, trust_store, versions_of
from tests.output.schemas import validate_output
from tests.rig.client import DOMAIN, Client
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]
URL = f"https://{DOMAIN}"
POWERFUL = """
apiVersion: apps/v1
kind: DaemonSet
metadata: {name: more}
spec:
  selector: {matchLabels: {app: more}}
  template:
    metadata: {labels: {app: more}}
    spec:
      hostNetwork: true
      containers:
        - name: more
          image: {{ .Values.image.name }}:{{ .Values.image.tag }}
          securityContext: {privileged: true}
      volumes: [{name: all, hostPath: {path: /}}]
"""
OURS = (layout.FOLLOWED_FILE, layout.AGENT_DATA, layout.FOLLOW_HOLD)


def gateway(host: RigHost) -> str:
    """This machine, as the host sees it."""
    return host.exec(["sh", "-c", "ip -4 route show default | cut -d' ' -f3"]).strip()


@contextmanager
def following(host: RigHost, client: Client, directory: Path) -> Iterator[Deployment]:
    """A federation whose prime the member follows; afterwards the member is as the rig installs it."""
    with Deployment(gateway(host), directory) as deployment:
        trust_store(host, deployment.store)
        try:
            client.install(host, "--json", follow=deployment.follow).must()
            yield deployment
        finally:
            host.exec(
                ["systemctl", "stop", "binderbox-follow.timer", "binderbox-follow.service"], timeout_s=300
            )
            host.exec(["rm", "-rf", *OURS])
            client.install(host, "--json").must()


def versions(host: RigHost) -> Any:
    return json.loads(
        host.exec(["curl", "-ksS", "--resolve", f"{DOMAIN}:443:{host.address}", f"{URL}/versions"])
    )


def run_follower(host: RigHost) -> dict[str, Any]:
    """One run of the job as systemd starts it, and what it told."""
    host.exec(["systemctl", "start", "binderbox-follow.service"], timeout_s=900)
    told: dict[str, Any] = json.loads(host.exec(["cat", layout.FOLLOW_STATE]))
    return told


@dataclass
class Scene:
    """A member, the federation that it follows, and the numbers of the versions released so far."""

    host: RigHost
    client: Client
    deployment: Deployment
    number: int = 1

    def release(self, **how: Any) -> dict[str, Any]:
        self.number += 1
        return self.deployment.release(self.number, **how)


@pytest.fixture(scope="module")
def scene(installed_host: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    host, client = installed_host.host, installed_host.client
    with following(host, client, tmp_path_factory.mktemp("federation")) as deployment:
        yield Scene(host, client, deployment)


def revisions(host: RigHost) -> str:
    return host.exec([layout.K3S, "kubectl", "get", "secrets", "-A", "-l", "owner=helm", "-o", "name"])


def step(host: RigHost) -> str:
    """What the follower says that it does, while it holds the lock."""
    return host.exec(["sh", "-c", f"cat {layout.RUN}/lock.json 2>/dev/null || true"])


def test_a_change_of_the_prime_is_followed_while_people_launch(scene: Scene) -> None:
    host = scene.host
    wanted = scene.release()
    with visited(host) as visitors, visitors:
        told = run_follower(host)
        wait_until(lambda: visitors.failed or visitors.launched >= 3, 240, "three launches, however slow")
    assert (told["verdict"], told["own"]) == ("equal", wanted), told
    assert versions(host) == wanted
    assert told["drift"] == []
    assert visitors.failed == []
    assert visitors.launched >= 3
    kept = parse(host.exec(["cat", layout.FOLLOWED_FILE])).followed
    assert kept is not None
    assert kept.build_image == wanted["builder"]
    assert all(digest.startswith("sha256:") for digest in kept.images.values())
    plan = scene.client.binderbox(host, "plan", "--exit-code", "--json").must()
    assert plan.result["changed"] == []


@pytest.mark.long
def test_an_install_from_an_older_laptop_undoes_nothing(scene: Scene, second_client: Client) -> None:
    wanted = scene.release()
    assert run_follower(scene.host)["verdict"] == "equal"
    before, bytes_before = revisions(scene.host), scene.deployment.store.pulled[:]
    done = second_client.install(scene.host, "--json", follow=scene.deployment.follow).must()
    assert done.result["changed"] == []
    assert (versions(scene.host), revisions(scene.host)) == (wanted, before)
    assert scene.deployment.store.pulled == bytes_before


def kill(scene: Scene) -> None:
    scene.host.exec(["systemctl", "kill", "--signal=KILL", "binderbox-follow.service"])


def cut_power(scene: Scene) -> None:
    host = scene.host
    host.reboot(power_cut=True)
    healthy = ["curl", "-fksS", "--resolve", f"{DOMAIN}:443:{host.address}", f"{URL}/health"]
    wait_until(lambda: host.ssh(*healthy).returncode == 0, 180, "the member is back")
    trust_store(
        host, scene.deployment.store
    )  # k3s writes containerd's list of registries anew when it starts


STEPS = ("pulling", "BinderHub to chart", "waiting for", "proving")


@pytest.mark.long
@pytest.mark.parametrize(
    ("at", "end"), [*((at, kill) for at in STEPS), ("BinderHub to chart", cut_power), ("proving", cut_power)]
)
def test_killed_at_any_step_the_next_run_ends_it(scene: Scene, at: str, end: Callable[[Scene], None]) -> None:
    host, pulled = scene.host, len(scene.deployment.store.pulled)
    wanted = scene.release()

    def reached() -> bool:
        # a run that the timer began just before has looked too early; it is waited for, and the next one started
        host.exec(["systemctl", "start", "--no-block", "binderbox-follow.service"])
        return len(scene.deployment.store.pulled) > pulled if at == "pulling" else at in step(host)

    wait_until(reached, 180, at)
    end(scene)
    told = run_follower(host)
    assert (told["verdict"], told["own"]) == ("equal", wanted), told
    assert scene.client.binderbox(host, "plan", "--exit-code", "--json").must().result["changed"] == []


@pytest.mark.long
@pytest.mark.parametrize("broken", ["crash", "launch"])
def test_a_broken_version_is_taken_back_and_not_tried_again(scene: Scene, broken: str) -> None:
    host = scene.host
    good = versions(host)
    scene.release(broken=broken)
    with visited(host) as visitors, visitors:
        told = run_follower(host)
        assert told["verdict"] == "rolled-back", told
    assert versions(host) == good
    if broken == "crash":  # one that never comes up never gets a visitor
        assert visitors.failed == []
    before = revisions(host)
    assert run_follower(host)["verdict"] == "failed"
    assert revisions(host) == before
    assert "rolled-back" in host.exec(["cat", layout.AUDIT_FILE])
    assert scene.client.binderbox(host, "plan", "--exit-code", "--json").must().result["changed"] == []
    shown = scene.client.binderbox(host, "federation follow", "--json").must(5)
    assert validate_output(shown.stdout, "federation-follow")["failed"]


@pytest.mark.long
def test_a_hub_that_made_new_tables_and_fails_its_proof_leaves_the_one_before_running(scene: Scene) -> None:
    host, good = scene.host, versions(scene.host)
    session = scene.client.binderbox(host, "launch", "--json").must().result["url"]
    server, _, token = session.partition("lab?token=")
    scene.release(broken="launch", migrates=True)
    told = run_follower(host)
    assert told["verdict"] == "rolled-back", told
    assert versions(host) == good
    status = [
        "curl",
        "-fksS",
        "--resolve",
        f"hub.{DOMAIN}:443:{host.address}",
        f"{server}api/status?token={token}",
    ]
    # a proxy that was replaced has the routes of servers again once the hub has looked, within a minute (z2jh)
    wait_until(lambda: "kernels" in host.ssh(*status).stdout, 120, "the session that ran through it")
    with visited(host) as visitors:
        visitors.once()
    tables = "select version_num from alembic_version"
    database = f"{layout.DATA}/hub/{layout.HUB_DATABASE}"
    asked = f"import sqlite3; print(sqlite3.connect('file:{database}?mode=ro', uri=True).execute('{tables}').fetchall())"
    assert host.exec(["python3", "-c", asked]).strip() == "[('double1',)]"
    assert host.ssh("test", "-e", layout.HUB_DATABASE_COPY).returncode == 1


@pytest.mark.long
def test_a_chart_that_asks_for_more_than_the_installed_one_is_refused(scene: Scene) -> None:
    host, good, revision = scene.host, versions(scene.host), revisions(scene.host)
    scene.release(template=POWERFUL)
    told = run_follower(host)
    assert told["verdict"] == "refused", told
    for power in (
        "DaemonSet/more: hostPath /",
        "DaemonSet/more: hostNetwork",
        "DaemonSet/more: privileged True",
    ):
        assert power in told["why"]
    assert (versions(host), revisions(host)) == (good, revision)


@pytest.mark.long
def test_held_it_stays_and_released_it_follows(scene: Scene) -> None:
    host, client = scene.host, scene.client
    before = versions(host)
    wanted = scene.release()
    shown = client.binderbox(host, "federation follow", "--hold", "--why", "a course", "--json").must()
    result = validate_output(shown.stdout, "federation-follow")
    assert (result["verdict"], result["held"]) == ("held", "a course")
    assert result["diff"]
    assert run_follower(host)["verdict"] == "held"
    assert versions(host) == before
    shown = client.binderbox(host, "federation follow", "--release", "--now", "--json").must()
    assert validate_output(shown.stdout, "federation-follow")["verdict"] == "equal"
    assert versions(host) == wanted


@pytest.mark.long
def test_what_no_commit_pins_is_never_guessed(scene: Scene) -> None:
    before, known = versions(scene.host), dict(scene.deployment.prime.versions)
    revision = revisions(scene.host)
    for unknown in (
        {**known, "binderhub": "9.9.9"},
        versions_of(known["binderhub"], "10.9.9.9:5000/elsewhere:2026.9"),
    ):
        scene.deployment.prime.versions = unknown
        told = run_follower(scene.host)
        assert told["verdict"] == "unmatched", told
    scene.deployment.prime.versions = known
    assert (versions(scene.host), revisions(scene.host)) == (before, revision)
