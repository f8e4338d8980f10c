"""From a config and facts to the typed inputs of the phases."""

from dataclasses import replace
from typing import Any

import pytest
import yaml

from binderbox import layout, plan
from binderbox.artifacts import versions
from binderbox.artifacts.resolve import Artifact
from binderbox.decide.facts import HostFacts
from binderbox.errors import PreflightError
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
