"""A member whose images are in somebody else's S3, behind TLS: installed, down for a while, shared by mistake, and cleaned up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import pytest

from binderbox import layout
from tests.e2e.federated import serve_repository
from tests.e2e.test_disk_short import SWEEP
from tests.e2e.test_follow import gateway
from tests.parts.builder.test_on_host import Node, tag_of
from tests.rig import images
from tests.rig.client import Client
from tests.rig.host import RigHost
from tests.rig.outsidestore import BUCKET, KEY, OutsideStore, outside_store
from tests.rig.roots import extra_authorities
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]


@dataclass
class Member:
    node: Node
    client: Client
    store: OutsideStore

    @property
    def config(self) -> dict[str, object]:
        network = f"{urlsplit(self.store.endpoint).hostname}/32"
        place = {"endpoint": self.store.endpoint, "bucket": BUCKET, "network": network}
        authorities = [*(path.read_text() for path in extra_authorities()), self.store.ca_pem]
        return {"extra_ca": authorities, "require_pins": False, "object_store": place}

    def verdict(self, check: str) -> str:
        done = self.client.binderbox(self.node.host, "check", "--json")
        (found,) = [one for one in done.result["checks"] if one["id"] == check]
        return str(found["verdict"])


@pytest.fixture(scope="module")
def member(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Member]:
    host, client = RigHost.start("outside"), Client(tmp_path_factory.mktemp("client"))
    try:
        with outside_store(gateway(host), tmp_path_factory.mktemp("store")) as store:
            yield Member(Node(host), client, store)
    finally:
        host.stop()


def test_without_its_keys_nothing_is_changed_and_it_is_said_how_to_give_them(member: Member) -> None:
    done = member.client.install(member.node.host, "--json", **member.config)
    assert done.code == 3
    failing = {one["id"]: one["fix"] for one in done.result["checks"] if one["verdict"] == "fail"}
    assert set(failing) == {"BBX-C01"}
    for name, value in {"s3-access-key": KEY.access, "s3-secret-key": KEY.secret}.items():
        file = member.client.home / name
        file.write_text(value)
        member.client.binderbox(member.node.host, "secrets set", name, "--file", str(file), "--json").must()


def test_it_is_installed_and_launches_and_a_second_run_changes_nothing(member: Member) -> None:
    node, client = member.node, member.client
    client.install(node.host, "--json", **member.config).must()
    assert client.install(node.host, "--json", **member.config).must().result["changed"] == []
    assert "objectstore" not in node.exec(f"{layout.K3S} kubectl get deployments -A -o name")
    client.binderbox(node.host, "launch", "--stop", "--json").must()
    wait_until(
        lambda: any("/_manifests/tags/" in one for one in keys(member)), 120, "its image in the bucket"
    )
    status = client.binderbox(node.host, "status", "--json").must().result
    assert status["verdict"] == "healthy"
    for check in ("BBX-C03", "BBX-C04", "BBX-C09", "BBX-O02"):
        assert member.verdict(check) == "pass"


def keys(member: Member) -> list[str]:
    return [one.object_name or "" for one in member.store.inner.s3.list_objects(BUCKET, recursive=True)]


def test_a_store_that_is_down_costs_no_launch_of_what_the_node_has_and_it_comes_back(member: Member) -> None:
    node, front = member.node, member.store.front
    url = serve_repository(node.host, "kept", f"FROM {images.SAMPLE_BASE}\nRUN echo kept\n")
    launch = ("launch", url, "--ref", "main", "--stop", "--json")
    first = member.client.binderbox(node.host, *launch).must().result
    wait_until(lambda: not json.loads(node.exec(f"cat {layout.DOOR_STATUS}"))["pushes"], 120, "its push")
    front.gone = True
    try:
        wait_until(lambda: health(member) == 503, 120, "/health that says so")
        again = member.client.binderbox(node.host, *launch)
        assert again.code == 0, again.result
        assert again.result["image"] == first["image"]
        assert node.events("build-spared"), "the door has answered from containerd"
        assert member.client.binderbox(node.host, "status", "--json").result["verdict"] == "degraded"
    finally:
        front.gone = False
    wait_until(lambda: health(member) == 200, 180, "it comes back by itself")
    wait_until(
        lambda: not json.loads(node.exec(f"cat {layout.DOOR_STATUS}"))["pushes"], 400, "pushes that waited"
    )


def health(member: Member) -> int:
    said = member.node.exec(
        "curl -sk -o /dev/null -w '%{http_code}' --connect-to ::127.0.0.1:443 https://binder.test/health || true"
    )
    return int(said or 0)


def test_its_retention_takes_from_the_bucket(member: Member) -> None:
    node = member.node
    node.repository("gone", "USER root\nRUN head -c 20000000 /dev/urandom >/opt/much")
    assert node.build("gone").phase == "Succeeded"
    node.until_told("pushed", within_s=120, tag=tag_of("gone"))
    before = size(member)
    text = node.exec(f"env {' '.join(layout.AGENT_PYTHON)} python3 -c '{SWEEP}' {10**9}")
    said = json.loads(text[text.index("{") :])
    assert said["freed_bytes"] >= 20_000_000
    assert abs((before - size(member)) - said["freed_bytes"]) < 0.1 * said["freed_bytes"]


def size(member: Member) -> int:
    return sum(one.size or 0 for one in member.store.inner.s3.list_objects(BUCKET, recursive=True))


def test_another_store_and_another_members_bucket_are_refused(member: Member) -> None:
    node, client = member.node, member.client
    embedded = {key: value for key, value in member.config.items() if key != "object_store"}
    done = client.install(node.host, "--json", **embedded)
    assert done.code == 2
    assert "the object store cannot be changed" in done.result["error"]["message"]
    other = client.install(node.host, "--json", **member.config, domain="other.test")
    assert other.code == 3
    assert "BBX-C09" in [one["id"] for one in other.result["checks"] if one["verdict"] == "fail"]
