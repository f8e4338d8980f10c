"""The registry of a member forgets an image that nobody launches, while people launch another."""

from __future__ import annotations

import json
from secrets import token_hex
from typing import Any

import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.visitors import visited
from tests.output.schemas import validate_output
from tests.parts.builder.test_on_host import Node, tag_of
from tests.rig.host import RigHost
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(900)]
# The job as systemd starts it; what was pushed just now is no exception, since no clock can be moved here: the object store
# refuses whoever's is 15 minutes off.
SWEEP = """
import json, sqlite3, sys
from pathlib import Path
from binderbox import layout
from binderbox.parts.agent.jobs import config, retention
name, idle_days = sys.argv[1], float(sys.argv[2])
of = config.parse_config(Path(layout.AGENT_CONFIG).read_text())
assert retention.run(of, {"dry": True})
with sqlite3.connect(layout.RETENTION_MEMORY) as memory:
    changed = memory.execute("update used set seen_s = seen_s - ? where name = ?", (86400 * idle_days, name))
    assert changed.rowcount == 1, name
memory.close()
retention.YOUNG_S = -5.0
assert retention.run(of, {})
print(Path(layout.RETENTION_STATE).read_text())
"""


def sweep(host: RigHost, image: str, idle_days: float) -> dict[str, Any]:
    """One sweep, for which an image was not launched for so many days."""
    words = ["env", *layout.AGENT_PYTHON, "python3", "-c", SWEEP, image, str(idle_days)]
    said = host.exec(words, timeout_s=300)
    found: dict[str, Any] = json.loads(said[said.index("{") :])
    return found


def in_registry(host: RigHost, name: str, tag: str) -> int:
    """HTTP status of its manifest, asked with the credential."""
    script = (
        f'printf "user = %s:%s" {layout.REGISTRY_USER} "$(cat {layout.SECRETS}/registry-password)" | curl -K - -sS -o /dev/null '
        f"-w '%{{http_code}}' -H 'Accept: application/vnd.oci.image.manifest.v1+json' "
        f"http://$({layout.K3S} kubectl get service registry -n {layout.NAMESPACE} -o 'jsonpath={{.spec.clusterIP}}'):5000/v2/{name}/manifests/{tag}"
    )
    return int(host.exec(["sh", "-c", script]))


def bucket_bytes(host: RigHost) -> int:
    return int(host.exec(["sh", "-c", f"du -sb {layout.DATA}/objectstore/{layout.BUCKET} | cut -f1"]))


def test_an_image_that_nobody_launches_goes_while_others_are_launched(installed_host: Installed) -> None:
    host, node, name = installed_host.host, Node(installed_host.host), f"forgotten-{token_hex(4)}"
    node.repository(name, "USER root\nRUN head -c 30000000 /dev/urandom >/opt/much")
    assert node.build(name).phase == "Succeeded"
    node.until_told("pushed", within_s=120, tag=tag_of(name))
    repository, _, tag = tag_of(name).partition("/")[2].rpartition(":")
    assert in_registry(host, repository, tag) == 200
    before = bucket_bytes(host)
    with visited(host) as visitors, visitors:
        assert sweep(host, f"{repository}:{tag}", 29)["forgotten"] == 0
        said = sweep(host, f"{repository}:{tag}", 2)
        wait_until(lambda: visitors.failed or visitors.launched >= 3, 240, "three launches")
    assert visitors.failed == []
    assert [one.partition(": ")[0] for one in said["why_forgotten"]] == [f"{repository}:{tag}"]
    assert in_registry(host, repository, tag) == 404
    assert said["freed_bytes"] >= 30_000_000
    assert abs((before - bucket_bytes(host)) - said["freed_bytes"]) < 0.1 * said["freed_bytes"]
    # built again, it is whole: nothing remembers a blob that went
    node.delete(f"build-{name}")
    assert node.build(name).phase == "Succeeded"
    wait_until(lambda: in_registry(host, repository, tag) == 200, 120, "its push")


def test_people_see_what_the_registry_holds_and_what_would_go(installed_host: Installed) -> None:
    client, host = installed_host.client, installed_host.host
    done = client.binderbox(host, "registry prune", "--dry-run", "--days", "1", "--json").must()
    said = validate_output(done.stdout, "registry")
    assert (said["dry"], said["forgotten"]) == (True, 0)
    assert said["images"] >= 1
    shown = validate_output(client.binderbox(host, "registry status", "--json").must().stdout, "registry")
    assert shown["max_bytes"] == said["max_bytes"] > 0
    assert not shown["dry"], "what was only asked is no sweep"
    status = client.binderbox(host, "status", "--json").must().result
    (part,) = [one for one in status["parts"] if one["name"] == "retention"]
    assert part["ok"]
