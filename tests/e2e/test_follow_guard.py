"""The federation's branch pins another cryptnono: the member follows, goes back from a broken one, and takes no more powers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from binderbox import layout
from binderbox.federation.following.followed import parse
from tests.conftest import Installed
from tests.e2e.test_follow import POWERFUL, Scene, following
from tests.e2e.test_guard import watches
from tests.output.schemas import validate_output
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(1500)]


@pytest.fixture(scope="module")
def scene(installed_host: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    host, client = installed_host.host, installed_host.client
    with following(host, client, tmp_path_factory.mktemp("federation")) as deployment:
        yield Scene(host, client, deployment)


def run(scene: Scene, *words: str) -> dict[str, Any]:
    """What came of the follower, asked to run now."""
    shown = scene.client.binderbox(scene.host, "federation follow", "--now", *words, "--json")
    guard: dict[str, Any] = validate_output(shown.stdout, "federation-follow")["guard"]
    return guard


def chart(scene: Scene) -> str:
    """Which chart of cryptnono is deployed, as helm has it."""
    host = scene.host
    words = ["env", f"KUBECONFIG={layout.KUBECONFIG}", f"{layout.BIN}/helm", "list", "-n", layout.NAMESPACE]
    (found,) = json.loads(host.exec([*words, "--filter", "^cryptnono$", "-o", "json"]))
    assert found["status"] == "deployed"
    return str(found["chart"]).removeprefix("cryptnono-")


def changes(scene: Scene) -> list[str]:
    planned = scene.client.binderbox(scene.host, "plan", "--exit-code", "--json").must()
    return list(planned.result["changed"])


def test_the_pin_of_the_branch_is_followed(scene: Scene) -> None:
    before = chart(scene)
    scene.deployment.pins(*scene.deployment.pinned)
    said = run(scene)
    assert (said["verdict"], said["why"], chart(scene)) == ("equal", "main pins no cryptnono", before)

    good = scene.deployment.release_guard(1)
    said = run(scene)
    assert (said["verdict"], chart(scene)) == ("equal", good), said
    kept = parse(scene.host.exec(["cat", layout.FOLLOWED_FILE])).guard
    assert kept is not None
    assert kept.chart == good
    assert all(digest.startswith("sha256:") for digest in kept.images.values())
    assert changes(scene) == []
    wait_until(lambda: watches(scene.host), 120, "the detectors of the followed chart")


@pytest.mark.long
def test_a_broken_one_is_taken_back_and_one_that_asks_for_more_is_refused(scene: Scene) -> None:
    good = scene.deployment.release_guard(2)
    assert (run(scene)["verdict"], chart(scene)) == ("equal", good)
    scene.deployment.release_guard(3, broken=True)
    said = run(scene)
    assert (said["verdict"], chart(scene)) == ("rolled-back", good), said
    assert "broken on purpose" in said["why"] or "CrashLoopBackOff" in said["why"], said
    assert run(scene)["verdict"] == "failed"
    assert [one["chart"] for one in run(scene)["failed"]] == ["0.3.5"]
    assert "cryptnono 0.3.5" in scene.host.exec(["cat", layout.AUDIT_FILE])
    status = scene.client.binderbox(scene.host, "status", "--json").result
    part = next(one for one in status["parts"] if one["name"] == "follower of cryptnono")
    assert (part["ok"], part["version"]) == (False, "failed")

    scene.deployment.release_guard(
        4, template=POWERFUL.replace(".Values.image.name", ".Values.image.repository")
    )
    said = run(scene)
    assert (said["verdict"], chart(scene)) == ("refused", good), said
    assert changes(scene) == []
