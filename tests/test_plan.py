"""From a config and facts to the typed inputs of the phases."""

import json
from dataclasses import replace
from typing import Any

import pytest
import yaml

from binderbox import layout, plan
from binderbox.artifacts import versions
from binderbox.artifacts.resolve import Artifact
from binderbox.decide.facts import Applied, HostFacts
from binderbox.errors import ConfigError, PreflightError
from binderbox.member import model as member
from binderbox.member.model import Member
from tests.checks.fakes import GOOD

TEXT = "domain: binder.example.org\ntls: own-ca\n"


def every_artifact() -> dict[str, Artifact]:
    return {
        name: Artifact(
            name,
            pin.kind,
            "0" * 64,
            pin.source,
            pin.version,
            file=f"{name}.tar",
            images=(f"example/{name}:1",),
        )
        for name, pin in versions.load().items()
    }


def made(facts: HostFacts = GOOD, *, switch_off: tuple[str, ...] = (), **keys: Any) -> plan.Plan:
    config: Member = member.parse(TEXT + yaml.safe_dump(keys) if keys else TEXT, "member.yaml")
    return plan.make(config, TEXT, facts, every_artifact(), who="somebody@somewhere", switch_off=switch_off)


def test_the_same_facts_give_the_same_plan() -> None:
    assert made() == made()


def test_what_came_in_a_bundle_is_not_fetched_ahead() -> None:
    """Nor by a later plan, which need not name the bundle."""
    assert made().host.ahead == ()


def test_k3s_waits_for_no_image_that_its_node_can_be_ready_without() -> None:
    k3s = made().k3s
    assert [one.name for one in k3s.first_images] == ["k3s-images"]
    assert {"objectstore", "sample-base"} <= {one.name for one in k3s.images}
    assert "k3s-images" not in {one.name for one in k3s.images}


def test_pods_of_the_plan_reach_the_kubelet_and_the_quota_reaches_binderhub() -> None:
    decided = made()
    kubelet = yaml.safe_load(decided.k3s.kubelet)
    assert kubelet["maxPods"] == decided.sizing.pods.value
    assert decided.binderhub.values["config"]["LaunchQuota"]["total_quota"] == decided.sizing.quota.value


def test_a_value_of_the_config_wins_and_says_so() -> None:
    decided = made(quota=7)
    quota = next(value for value in decided.values if value.key == "quota")
    assert (quota.value, quota.origin) == (7, "config")
    assert all(value.reason for value in decided.values)


def test_what_the_disk_held_at_first_keeps_the_plan_quiet() -> None:
    first = made()
    fuller = replace(GOOD, disk_free_gb=GOOD.disk_free_gb - 5, recorded_other_gb=first.disk.other_gb.value)
    assert made(fuller).disk == replace(first.disk, other_gb=made(fuller).disk.other_gb)


def test_a_disk_that_is_too_small_is_said_with_figures() -> None:
    with pytest.raises(PreflightError, match="disk is too small") as caught:
        made(replace(GOOD, disk_gb=18.0, disk_free_gb=12.0))
    assert "GB" in caught.value.cause


def test_certificates_are_ours_only_when_the_config_says_so() -> None:
    assert made().host.certificate_names == ("binder.example.org", "*.binder.example.org")
    config = member.parse("domain: binder.example.org\nemail: a@example.org\n", "member.yaml")
    assert plan.make(config, TEXT, GOOD, every_artifact()).host.certificate_names == ()


def test_no_system_image_may_be_built_through_the_door() -> None:
    decided = made()
    assert "example/traefik:1" in decided.builder.reserved_images


def test_the_firewall_knows_the_ports_ssh_came_in_by() -> None:
    rules = made(replace(GOOD, ssh_ports=(22, 2222))).host.firewall
    assert "tcp dport { 22, 2222 } accept" in rules
    assert layout.POD_INTERFACE in rules


STORE = {"endpoint": "https://s3.example.edu", "bucket": "binderbox", "network": "10.20.0.0/16"}


def applied(**keys: Any) -> HostFacts:
    return replace(GOOD, applied=Applied(TEXT + (yaml.safe_dump(keys) if keys else "")))


def test_a_store_of_ones_own_takes_the_place_of_the_nodes() -> None:
    decided = made(object_store=STORE)
    assert decided.objectstore is None
    assert decided.registry.values["s3"]["endpoint"] == STORE["endpoint"]
    assert decided.registry.secret_values["s3.accessKey"] == "s3-access-key"
    rules = decided.host.firewall
    assert "ip daddr 10.20.0.0/16 tcp dport { 443 } accept" in rules
    assert rules.index("10.20.0.0/16") > rules.index("chain from_system_pod"), (
        "for the member's own pods alone"
    )
    assert rules.count("10.20.0.0/16") == 1
    here = made()
    assert decided.disk.images_gb.value > here.disk.images_gb.value
    assert decided.disk.objectstore_max_gb.value == 0
    agent = json.loads(decided.agent.config)
    assert agent["store"]["bucket"] == "binderbox"
    assert "registry" not in agent["file_systems"][0]["floors_gb"]


@pytest.mark.parametrize(("before", "now"), [({}, {"object_store": STORE}), ({"object_store": STORE}, {})])
def test_a_change_of_the_store_is_refused_with_where_the_images_are(
    before: dict[str, Any], now: dict[str, Any]
) -> None:
    with pytest.raises(ConfigError, match="the object store cannot be changed: its images are in") as refused:
        made(applied(**before), **now)
    assert "the bucket binderbox at https://s3.example.edu" in refused.value.message
    assert "the node's own object store" in refused.value.message


def test_what_stays_the_same_place_may_be_reached_otherwise() -> None:
    other = {**STORE, "network": "10.0.0.0/8", "path_style": False}
    assert made(applied(object_store=STORE), object_store=other).objectstore is None


@pytest.mark.parametrize("port", [9000, 8443])
def test_a_store_at_another_port_needs_its_network(port: int) -> None:
    store = {"endpoint": f"https://s3.example.edu:{port}", "bucket": "binderbox"}
    with pytest.raises(ConfigError, match="say the `network` of port"):
        made(object_store=store)
    assert made(object_store={**store, "network": "10.20.0.0/16"}).objectstore is None
