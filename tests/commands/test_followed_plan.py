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
    GUARD_CHART,
    GUARD_IMAGES,
    Failed,
    Followed,
    Guard,
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

GUARD = Guard(
    "c" * 40,
    "0.4.0",
    "https://charts.example.org/cryptnono-0.4.0.tgz",
    "d" * 64,
    "2026-11-22T02:00:00Z",
    {"quay.io/yuvipanda/cryptnono:0.4.0": "sha256:" + "e" * 64},
)
RECORD = Record(PINS, guard=GUARD)


def made(artifacts: dict[str, Artifact]) -> plan.Plan:
    return plan.make(member.parse(TEXT, "member.yaml"), TEXT, GOOD, artifacts, who="somebody@somewhere")


def test_nothing_followed_changes_nothing() -> None:
    assert overlay(every_artifact(), Record()) == every_artifact()


def test_the_followed_pins_are_those_of_the_release() -> None:
    decided = made(overlay(every_artifact(), RECORD))
    release = decided.binderhub
    assert release.artifact is not None
    assert (release.artifact.version, release.artifact.sha256, release.artifact.url) == (
        PINS.chart,
        PINS.chart_sha256,
        PINS.chart_source,
    )
    assert release.values["config"]["KubernetesBuildExecutor"]["build_image"] == PINS.build_image


def test_their_origin_is_told() -> None:
    told = {
        value.key: (value.value, value.origin) for value in made(overlay(every_artifact(), RECORD)).values
    }
    assert told["binderhub_chart"] == (PINS.chart, "followed")
    assert told["build_image"] == ("2026.9.0", "followed")
    assert "binderhub_chart" not in {value.key for value in made(every_artifact()).values}


def test_an_older_laptop_plans_the_same() -> None:
    older = {
        name: replace(
            one, version="older", sha256="9" * 64, file=f"{name}-older.tar", images=(f"example/{name}:0",)
        )
        if name in (CHART, BUILD_IMAGE, CHART_IMAGES, GUARD_CHART, GUARD_IMAGES)
        else one
        for name, one in every_artifact().items()
    }
    assert made(overlay(older, RECORD)) == made(overlay(every_artifact(), RECORD))


def test_images_of_the_pinned_chart_are_left_out() -> None:
    names = {one.name for one in made(overlay(every_artifact(), RECORD)).k3s.images}
    assert CHART_IMAGES not in names
    assert BUILD_IMAGE in names


def test_its_images_are_brought_back_where_an_uninstall_took_them() -> None:
    plan = made(overlay(every_artifact(), RECORD))
    pulled = {one.name: (one.pull, one.images) for one in (*plan.binderhub.images, *plan.builder.images)}
    assert pulled["k8s-hub"] == (
        f"quay.io/jupyterhub/k8s-hub@sha256:{'c' * 64}",
        ("quay.io/jupyterhub/k8s-hub:4",),
    )
    assert pulled[BUILD_IMAGE][0] == f"quay.io/jupyterhub/repo2docker@sha256:{'b' * 64}"


def test_the_followed_guard_is_that_of_the_release_and_restarts_nothing_else() -> None:
    before, after = made(every_artifact()), made(overlay(every_artifact(), Record(guard=GUARD)))
    assert before.guard is not None
    assert after.guard is not None
    assert after.guard.artifact is not None
    found = (after.guard.artifact.version, after.guard.artifact.sha256, after.guard.artifact.url)
    assert found == (GUARD.chart, GUARD.chart_sha256, GUARD.chart_source)
    assert {image: one.pull for one in after.guard.images for image in one.images} == {
        "quay.io/yuvipanda/cryptnono:0.4.0": f"quay.io/yuvipanda/cryptnono@sha256:{'e' * 64}"
    }
    assert after.guard.values == before.guard.values
    assert (before.binderhub, before.builder, before.agent.config) == (
        after.binderhub,
        after.builder,
        after.agent.config,
    )
    assert ("cryptnono_chart", "followed") in {(one.key, one.origin) for one in after.values}


def test_following_restarts_nothing_of_the_builder() -> None:
    before, after = made(every_artifact()), made(overlay(every_artifact(), RECORD))
    assert replace(before.builder, images=()) == replace(after.builder, images=())
    assert (before.registry, before.ingress, before.agent.config) == (
        after.registry,
        after.ingress,
        after.agent.config,
    )


def test_the_record_is_read_as_the_node_has_it() -> None:
    failed = render(Record(failed=(Failed("c", "1", "i", "t", "w"),)))
    assert followed_of(replace(GOOD, followed=failed)) == Record(failed=(Failed("c", "1", "i", "t", "w"),))
    assert followed_of(replace(GOOD, followed=render(RECORD))) == RECORD


def test_a_spoiled_record_is_named() -> None:
    with pytest.raises(ConfigError, match=r"followed\.toml") as caught:
        followed_of(replace(GOOD, followed="<html>"))
    assert layout.FOLLOWED_FILE in caught.value.cause


def test_everyfollowed_of_name_is_an_artifact() -> None:
    assert {CHART, BUILD_IMAGE, CHART_IMAGES} <= set(versions.load())
