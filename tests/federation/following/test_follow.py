"""What is followed, when, and what never is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from binderbox.artifacts import followable, versions
from binderbox.federation.following import follow
from binderbox.federation.following.follow import Pins, Range, Rules, Seen
from binderbox.federation.following.followed import Failed, Record

IMAGE = "quay.io/jupyterhub/repo2docker:2026.4.1.dev44-g97bb4e45a"
INDEX = "https://jupyterhub.github.io/helm-chart"
CHART = "1.0.0-0.dev.git.3983.h383374de"
RULES = Rules((INDEX,), ("quay.io/jupyterhub/repo2docker",), Range("1.0.0", "2"), Range("2026.4", "2028"))


def says(binderhub: str = "0.2.0+2227.gb9fad995", image: str = IMAGE) -> dict[str, Any]:
    return {"builder_info": {"build_image": image}, "binderhub": binderhub, "builder": image}


def pins(number: int, *, chart: str = CHART, image: str = IMAGE, repository: str = INDEX) -> Pins:
    return Pins(f"{number:040x}", chart, repository, image)


@pytest.mark.parametrize(
    ("seen", "verdict"),
    [
        (Seen(says(), says()), "equal"),
        (Seen(dict(reversed(says().items())), says()), "equal"),
        (Seen(says("0.2.0+2228"), says()), "following"),
        (Seen(says(image="quay.io/jupyterhub/repo2docker:2026.5.0"), says()), "following"),
        (Seen({**says(), "more": 1}, says()), "following"),
        (Seen(says(), None), "following"),
        (Seen(None, says(), "timed out"), "unreachable"),
        (Seen([], says()), "unreachable"),
        (Seen({"binderhub": "1"}, says()), "unreachable"),
        (Seen({**says(), "builder_info": {}}, says()), "unreachable"),
        (Seen(says("0.2.0+2228"), says(), held=""), "held"),
        (Seen(says(), says(), held="the exam week"), "equal"),
    ],
)
def test_one_look_one_decision(seen: Seen, verdict: str) -> None:
    decision = follow.decide(seen, RULES)
    assert decision.verdict == verdict
    assert decision.why
    assert (decision.action == "follow") == (verdict == "following")


def test_why_it_is_held_is_told_with_the_change_that_waits() -> None:
    decision = follow.decide(Seen(says("0.2.0+2228"), says(), held="the exam week"), RULES)
    assert "the exam week" in decision.why
    assert "0.2.0+2228" in decision.why


@pytest.mark.parametrize(
    ("window", "minute", "open_"),
    [
        ("", 0, True),
        ("02:00-06:00", 119, False),
        ("02:00-06:00", 120, True),
        ("02:00-06:00", 359, True),
        ("02:00-06:00", 360, False),
        ("22:00-04:00", 1439, True),
        ("22:00-04:00", 0, True),
        ("22:00-04:00", 240, False),
        ("22:00-04:00", 720, False),
    ],
)
def test_the_window(window: str, minute: int, open_: bool) -> None:
    assert follow.in_window(window, minute) is open_


@pytest.mark.parametrize("window", ["2-6", "02:00", "24:00-01:00", "02:00-06:60", "02:00 - 06:00"])
def test_another_form_of_window_is_refused(window: str) -> None:
    with pytest.raises(ValueError, match="HH:MM-HH:MM"):
        follow.in_window(window, 0)


def test_outside_of_its_window_a_change_waits_unless_somebody_asks() -> None:
    rules = Rules((INDEX,), (), window="02:00-06:00")
    waiting = Seen(says("0.2.0+2228"), says(), minute_of_day=720)
    assert follow.decide(waiting, rules).verdict == "waiting"
    assert (
        follow.decide(Seen(says("0.2.0+2228"), says(), minute_of_day=720, now=True), rules).action == "follow"
    )


def test_candidates_have_the_primes_build_image_and_each_chart_once_newest_first() -> None:
    history = [
        pins(9, image="quay.io/jupyterhub/repo2docker:newer"),
        pins(8, chart="1.0.0-0.dev.git.8.h8"),
        pins(7, chart="1.0.0-0.dev.git.8.h8"),
        pins(6, chart="1.0.0-0.dev.git.6.h6"),
        pins(5, image="quay.io/jupyterhub/repo2docker:older"),
    ]
    assert [one.commit[-1] for one in follow.candidates(history, says())] == ["8", "6"]
    assert follow.candidates(history[:1], says()) == ()


def test_the_history_is_walked_no_further_than_needed() -> None:
    walked = []

    def history() -> Iterator[Pins]:
        for number in range(1000):
            walked.append(number)
            yield pins(number, chart=f"1.0.{number}")

    assert len(follow.candidates(history(), says())) == follow.MAX_CHARTS
    assert len(walked) == follow.MAX_CHARTS


@pytest.mark.parametrize(
    ("given", "why"),
    [
        (pins(1), ""),
        (pins(1, repository=f"{INDEX}/"), "comes from"),  # read_pins takes the slash off
        (pins(1, repository="https://example.org/charts"), "https://example.org/charts"),
        (pins(1, chart="2.0.0"), "outside of 1.0.0 to below 2"),
        (pins(1, chart="0.9.9"), "outside"),
        (pins(1, chart="latest"), "outside"),
        (pins(1, image="quay.io/jupyterhub/repo2docker-evil:2026.5"), "from none of"),
        (pins(1, image="quay.io/jupyterhub/repo2docker/evil:2026.5"), "from none of"),
        (pins(1, image="evil.example.org/quay.io/jupyterhub/repo2docker:2026.5"), "from none of"),
        (pins(1, image="quay.io/jupyterhub/repo2docker:2025.12.0"), "outside of 2026.4"),
        (pins(1, image="quay.io/jupyterhub/repo2docker:main"), "outside"),
        (pins(1, image="quay.io/jupyterhub/repo2docker"), "outside"),
        (pins(1, image="quay.io/jupyterhub/repo2docker@sha256:" + "0" * 64), "outside"),
    ],
)
def test_only_what_is_allowed_is_followed(given: Pins, why: str) -> None:
    refused = follow.refusal(given, RULES)
    assert why in refused if why else refused == ""


def test_what_failed_here_is_not_tried_again_by_itself() -> None:
    record = Record(failed=(Failed("c" * 40, CHART, IMAGE, "2026-11-22T02:00:00Z", "no launch"),))
    assert "no launch" in follow.failed_before(pins(1), record, again=False)
    assert follow.failed_before(pins(1), record, again=True) == ""
    assert follow.failed_before(pins(1, image=IMAGE + "1"), record, again=False) == ""


def test_pins_are_read_from_the_two_files() -> None:
    chart = {
        "dependencies": [
            {"name": "traefik"},
            {"name": "binderhub", "version": CHART, "repository": INDEX + "/"},
        ]
    }
    values = {"binderhub": {"config": {"KubernetesBuildExecutor": {"build_image": IMAGE}}}}
    assert follow.read_pins("c" * 40, chart, values) == Pins("c" * 40, CHART, INDEX, IMAGE)


@pytest.mark.parametrize(
    ("chart", "values", "named"),
    [
        (None, {}, "Chart.yaml"),
        ({"dependencies": []}, {}, "Chart.yaml"),
        ({"dependencies": [{"name": "binderhub"}]}, {}, "Chart.yaml"),
        ({"dependencies": [{"name": "binderhub", "version": "1", "repository": "r"}] * 2}, {}, "Chart.yaml"),
        ({"dependencies": [{"name": "binderhub", "version": "1", "repository": "r"}]}, None, "values.yaml"),
        (
            {"dependencies": [{"name": "binderhub", "version": "1", "repository": "r"}]},
            {"binderhub": None},
            "values.yaml",
        ),
    ],
)
def test_another_layout_of_the_repository_is_named(chart: Any, values: Any, named: str) -> None:
    with pytest.raises(ValueError, match=named):
        follow.read_pins("c" * 40, chart, values)


def test_the_pins_that_this_release_brings_may_be_followed_by_its_own_rules() -> None:
    allowed, pinned = followable.load(), versions.load()
    rules = Rules(
        allowed.chart_places,
        allowed.image_sources,
        Range(*allowed.chart_range),
        Range(*allowed.build_image_range),
    )
    chart = pinned["binderhub-chart"]
    mine = Pins("c" * 40, chart.version, chart.source.rpartition("/")[0], pinned["repo2docker"].source)
    assert follow.refusal(mine, rules) == ""


NAMES = st.from_regex(follow.IMAGE, fullmatch=True)


@given(old=NAMES, new=NAMES)
def test_the_follower_writes_the_values_that_an_install_would_write(old: str, new: str) -> None:
    def written(image: str) -> str:
        tree = {
            "config": {"KubernetesBuildExecutor": {"build_image": image, "docker_host": None}},
            "replicas": 1,
        }
        return yaml.safe_dump(tree, sort_keys=True, allow_unicode=True)

    assert follow.with_build_image(written(old), new) == written(new)


@pytest.mark.parametrize("image", ["x", "quay.io/a b:1", "quay.io/a:1\nevil: true", "", "quay.io/a/b:"])
def test_what_is_no_image_never_gets_into_the_values(image: str) -> None:
    with pytest.raises(ValueError, match="no name of an image"):
        follow.with_build_image("  build_image: a\n", image)


def test_values_without_their_one_line_are_refused() -> None:
    for text in ("", "  build_image: a\n  build_image: b\n"):
        with pytest.raises(ValueError, match="expected one"):
            follow.with_build_image(text, IMAGE)


def test_launches_under_way_are_builds_and_servers_that_are_not_ready() -> None:
    def pod(name: str, component: str, phase: str, *ready: bool) -> dict[str, Any]:
        states = [{"ready": one} for one in ready]
        return {
            "metadata": {"name": name, "labels": {"component": component}},
            "status": {"phase": phase, "containerStatuses": states},
        }

    found = follow.launches_under_way(
        [
            pod("building", "binderhub-build", "Running", True),
            pod("waiting", "binderhub-build", "Pending"),
            pod("built", "binderhub-build", "Succeeded", False),
            pod("starting", "singleuser-server", "Pending"),
            pod("unready", "singleuser-server", "Running", False),
            pod("running", "singleuser-server", "Running", True),
            pod("hub", "hub", "Pending"),
            {"metadata": {"name": "no labels"}, "status": {}},
        ]
    )
    assert found == ("building", "waiting", "starting", "unready")


def crashing(
    name: str, reason: str, restarts: int, *, component: str = "binder", ready: bool = False
) -> dict[str, Any]:
    state = {
        "ready": ready,
        "restartCount": restarts,
        "state": {"waiting": {"reason": reason, "message": "m"}},
    }
    return {
        "metadata": {"name": name, "labels": {"component": component}},
        "status": {"containerStatuses": [state]},
    }


@pytest.mark.parametrize(
    ("pod", "hopeless"),
    [
        (crashing("a", "CrashLoopBackOff", 1), False),
        (crashing("a", "CrashLoopBackOff", 3), True),
        (crashing("a", "ErrImageNeverPull", 0), True),
        (crashing("a", "ContainerCreating", 0), False),
    ],
)
def test_waiting_ends_where_it_is_of_no_use(pod: dict[str, Any], hopeless: bool) -> None:
    told, found = follow.judge_pods([pod])
    assert (len(told), found) == (1, hopeless)


def test_pods_of_users_and_builds_say_nothing_about_the_member() -> None:
    theirs = [
        crashing("a", "CrashLoopBackOff", 9, component=name)
        for name in ("binderhub-build", "singleuser-server")
    ]
    assert follow.judge_pods(theirs) == ((), False)
    assert follow.judge_pods([{"metadata": {"name": "new"}, "status": {}}]) == ((), False)


@pytest.mark.parametrize(
    ("users", "quota", "full"), [(6, 10, False), (7, 10, True), (9, None, False), (9, 0, False)]
)
def test_a_full_member_is_not_changed_if_it_can_wait(users: int, quota: int | None, full: bool) -> None:
    pods = [{"metadata": {"labels": {"component": "singleuser-server"}}} for _ in range(users)]
    pods.append({"metadata": {"labels": {"component": "hub"}}})
    assert bool(follow.too_full(pods, quota)) is full
