"""Which chart of cryptnono's is followed, and which never is."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.artifacts import followable, versions
from binderbox.federation.following import guarding
from binderbox.federation.following.follow import Range
from binderbox.federation.following.followed import FailedGuard, Record
from binderbox.federation.following.guarding import GuardPins, GuardRules

INDEX = "https://cryptnono.github.io/cryptnono"
CHART = "0.3.2-0.dev.git.267.h766bf8f"
ALLOWED = followable.load()
RULES = GuardRules(ALLOWED.guard_places, ALLOWED.guard_sources, Range(*ALLOWED.guard_range))


def of(*dependencies: Any) -> Any:
    return {"apiVersion": "v2", "dependencies": [{"name": "binderhub", "version": "1"}, *dependencies]}


def pins(chart: str = CHART, repository: str = INDEX) -> GuardPins:
    return GuardPins("c" * 40, chart, repository)


def test_the_pin_is_read_and_a_federation_without_one_has_none() -> None:
    dependency = {
        "name": "cryptnono",
        "version": CHART,
        "repository": f"{INDEX}/",
        "condition": "cryptnono.enabled",
    }
    assert guarding.read_pins("c" * 40, of(dependency)) == pins()
    assert guarding.read_pins("c" * 40, of()) is None
    assert guarding.read_pins("c" * 40, None) is None


@pytest.mark.parametrize("broken", [{"version": 1}, {"version": ""}, {"repository": None}])
def test_a_pin_that_is_no_text_is_refused_with_its_file(broken: dict[str, Any]) -> None:
    dependency = {"name": "cryptnono", "version": CHART, "repository": INDEX, **broken}
    with pytest.raises(ValueError, match=r"cccccccc mybinder/Chart.yaml: cryptnono"):
        guarding.read_pins("c" * 40, of(dependency))


def test_the_released_pin_may_be_followed() -> None:
    pin = versions.load()["cryptnono-chart"]
    assert guarding.refusal(pins(pin.version), RULES) == ""


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (pins(repository="https://evil.example.org"), "the chart comes from https://evil.example.org"),
        (pins("2.0.0"), "outside of"),
        (pins("0.1.0"), "outside of"),
        (pins("latest"), "outside of"),
    ],
)
def test_only_what_is_allowed_is_followed(given: GuardPins, why: str) -> None:
    assert why in guarding.refusal(given, RULES)


def test_images_from_elsewhere_are_named() -> None:
    images = ("quay.io/yuvipanda/cryptnono:1", "quay.io/yuvipanda/cryptnono-evil:1", "docker.io/x/y:2")
    assert guarding.foreign(images, RULES) == images[1:]


def test_what_failed_here_is_left_alone_until_the_branch_pins_another() -> None:
    record = Record(guard_failed=(FailedGuard("d" * 40, CHART, "today", "its canary lived"),))
    assert "its canary lived" in guarding.failed_before(pins(), record)
    assert guarding.failed_before(pins("0.3.3"), record) == ""
