"""What the follower proved wins over the pins of whoever installs, and over a bundle; and an install then finds no change."""

from __future__ import annotations

from dataclasses import replace

import pytest

from binderbox import layout, plan
from binderbox.artifacts import versions
from binderbox.artifacts.resolve import Artifact
from binderbox.commands.connect import followed_of
from binderbox.errors import ConfigError
from binderbox.federation.following.followed import (
    BUILD_IMAGE,
    CHART,
    CHART_IMAGES,
    Failed,
    Followed,
    Record,
    render,
)
from binderbox.member import model as member
from binderbox.plan import overlay
from tests.checks.fakes import GOOD
from tests.test_plan import TEXT, every_artifact

PINS = Followed(
    "c" * 40,
    "1.0.0-0.dev.git.4000.habc",
    "https://charts.example.org/binderhub-1.0.0-0.dev.git.4000.habc.tgz",
    "a" * 64,
    "quay.io/jupyterhub/repo2docker:2026.9.0",
    "2026-11-22T02:00:00Z",
    {
        "quay.io/jupyterhub/repo2docker:2026.9.0": "sha256:" + "b" * 64,
        "quay.io/jupyterhub/k8s-hub:4": "sha256:" + "c" * 64,
    },
)


def made(artifacts: dict[str, Artifact]) -> plan.Plan:
    return plan.make(member.parse(TEXT, "member.yaml"), TEXT, GOOD, artifacts, who="somebody@somewhere")


def test_nothingfollowed_of_changes_nothing() -> None:
    assert overlay(every_artifact(), None) == every_artifact()


def test_thefollowed_of_pins_are_those_of_the_release() -> None:
    decided = made(overlay(every_artifact(), PINS))
    release = decided.binderhub
    assert release.artifact is not None
    assert (release.artifact.version, release.artifact.sha256, release.artifact.url) == (
        PINS.chart,
        PINS.chart_sha256,
        PINS.chart_source,
    )
    assert release.values["config"]["KubernetesBuildExecutor"]["build_image"] == PINS.build_image


def test_their_origin_is_told() -> None:
    told = {value.key: (value.value, value.origin) for value in made(overlay(every_artifact(), PINS)).values}
    assert told["binderhub_chart"] == (PINS.chart, "followed")
    assert told["build_image"] == ("2026.9.0", "followed")
    assert "binderhub_chart" not in {value.key for value in made(every_artifact()).values}


def test_an_older_laptop_plans_the_same() -> None:
    older = {
        name: replace(
            one, version="older", sha256="9" * 64, file=f"{name}-older.tar", images=(f"example/{name}:0",)
        )
        if name in (CHART, BUILD_IMAGE, CHART_IMAGES)
        else one
        for name, one in every_artifact().items()
    }
    assert made(overlay(older, PINS)) == made(overlay(every_artifact(), PINS))


def test_images_of_the_pinned_chart_are_left_out() -> None:
    names = {one.name for one in made(overlay(every_artifact(), PINS)).k3s.images}
    assert CHART_IMAGES not in names
    assert BUILD_IMAGE in names


def test_its_images_are_brought_back_where_an_uninstall_took_them() -> None:
    pulled = {
        one.name: (one.pull, one.images) for one in made(overlay(every_artifact(), PINS)).binderhub.images
    }
    assert pulled["k8s-hub"] == (
        f"quay.io/jupyterhub/k8s-hub@sha256:{'c' * 64}",
        ("quay.io/jupyterhub/k8s-hub:4",),
    )
    assert pulled[BUILD_IMAGE][0] == f"quay.io/jupyterhub/repo2docker@sha256:{'b' * 64}"


def test_following_restarts_nothing_of_the_builder() -> None:
    before, after = made(every_artifact()), made(overlay(every_artifact(), PINS))
    assert before.builder == after.builder
    assert (before.registry, before.ingress, before.agent) == (after.registry, after.ingress, after.agent)


def test_a_record_without_proved_pins_overlays_nothing() -> None:
    failed = render(Record(failed=(Failed("c", "1", "i", "t", "w"),)))
    assert followed_of(replace(GOOD, followed=failed)) is None
    assert followed_of(replace(GOOD, followed=render(Record(PINS)))) == PINS


def test_a_spoiled_record_is_named() -> None:
    with pytest.raises(ConfigError, match=r"followed\.toml") as caught:
        followed_of(replace(GOOD, followed="<html>"))
    assert layout.FOLLOWED_FILE in caught.value.cause


def test_everyfollowed_of_name_is_an_artifact() -> None:
    assert {CHART, BUILD_IMAGE, CHART_IMAGES} <= set(versions.load())
