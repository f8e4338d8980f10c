"""The prime's versions change under a member: it follows, launches go on, and an install afterwards changes nothing."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.federation.followed import parse
from binderbox.results import Connection
from binderbox.session import opened
from binderbox.world.sample import served
from tests.conftest import Installed
from tests.e2e.visitors import Visitors
from tests.federation.deployment import Deployment, trust_store
from tests.rig.client import DOMAIN, Client
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]
TARGETS = {"cluster resolver": "dns:kubernetes.default.svc.cluster.local"}
URL = f"https://{DOMAIN}"
OURS = (layout.FOLLOWED_FILE, layout.FOLLOWED_IMAGES, layout.AGENT_DATA, layout.FOLLOW_HOLD)


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
            host.exec(["systemctl", "stop", "binderbox-follow.timer", "binderbox-follow.service"], timeout_s=300)
            host.exec(["rm", "-rf", *OURS])
            client.install(host, "--json").must()


@contextmanager
def visited(host: RigHost) -> Iterator[Visitors]:
    """Visitors of a repository that is on the node already."""
    ca = host.exec(["cat", f"{layout.CA}/ca.crt"])
    with opened(Connection(host.alias, host.ssh_config)) as there, served(there, SAMPLE_BASE, TARGETS) as url:
        visitors = Visitors(URL, host.address, ca, url)
        visitors.once()
        with visitors:
            yield visitors


def versions(host: RigHost) -> Any:
    return json.loads(host.exec(["curl", "-ksS", "--resolve", f"{DOMAIN}:443:{host.address}", f"{URL}/versions"]))


def run_follower(host: RigHost) -> dict[str, Any]:
    """One run of the job as systemd starts it, and what it told."""
    host.exec(["systemctl", "start", "binderbox-follow.service"], timeout_s=900)
    told: dict[str, Any] = json.loads(host.exec(["cat", layout.FOLLOW_STATE]))
    return told


@pytest.fixture
def deployment(installed_host: Installed, tmp_path: Path) -> Iterator[Deployment]:
    with following(installed_host.host, installed_host.client, tmp_path) as deployment:
        yield deployment


def test_a_change_of_the_prime_is_followed_while_people_launch(
    installed_host: Installed, deployment: Deployment
) -> None:
    host, client = installed_host.host, installed_host.client
    wanted = deployment.release(2)
    with visited(host) as visitors:
        told = run_follower(host)
    assert (told["verdict"], told["own"]) == ("equal", wanted), told
    assert versions(host) == wanted
    assert visitors.failed == []
    assert visitors.launched >= 3
    kept = parse(host.exec(["cat", layout.FOLLOWED_FILE])).followed
    assert kept is not None
    assert kept.build_image == wanted["builder"]
    assert all(digest.startswith("sha256:") for digest in kept.images.values())
    plan = client.binderbox(host, "plan", "--exit-code", "--json").must()
    assert plan.result["changed"] == []
