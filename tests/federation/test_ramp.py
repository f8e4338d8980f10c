"""When the next weight is due, and why not yet: the pure decision, and the command on a small federation."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.federation.config import make_config
from binderbox.federation.ramp import Launches, Ramp, decide, parse_launches, parse_steps
from binderbox.federation.rules import Standing

STEPS = (5.0, 15.0, 30.0, 50.0)
WELL = Standing("n", True)


def decided(weight: float = 5, **changes: Any) -> Ramp:
    def entry(name: str, own: float, prime: bool = False) -> dict[str, Any]:
        url = f"https://{name}.example"
        return {"url": url, "health": url, "versions": url, "weight": own, "prime": prime}

    hosts = {"a": entry("a", 50, True), "b": entry("b", 50), "n": entry("n", weight)}
    known: dict[str, Any] = {
        "standing": WELL,
        "active": ["a", "b", "n"],
        "deployed": weight,
        "launches": Launches(99, 1),
        "pods": 4,
        "quota": 60,
    }
    return decide(make_config({"hosts": hosts}), "n", STEPS, **{**known, **changes})


@pytest.mark.parametrize(("weight", "due"), [(0, 5), (1, 5), (5, 15), (15, 30), (20, 30), (30, 50)])
def test_the_next_higher_step_is_due(weight: float, due: float) -> None:
    found = decided(weight)
    assert (found.due, found.done, found.why_not) == (due, False, ())


@pytest.mark.parametrize("weight", [50, 70])
def test_at_the_last_step_nothing_is_due(weight: float) -> None:
    found = decided(weight, standing=Standing("n", False, "versions", "x"))
    assert (found.due, found.done) == (None, True)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"standing": Standing("n", False, "Pod quota", "51 of 60")}, "would not send it launches: Pod quota, 51 of 60"),
        ({"deployed": 1}, "the redirector still uses weight 1: the last change is not deployed"),
        ({"launches": None}, "its /metrics tell nothing of launches"),
        ({"launches": Launches(49, 0)}, "49 launches since BinderHub started there, 50 are needed"),
        ({"launches": Launches(94, 6)}, "94.0% of 100 launches worked, 95% are needed"),
        ({"pods": None}, "its /health tells no pods"),
        # 5 of 105 is 4.8 %, 15 of 115 is 13.0 %: 2.74 times as many pods
        ({"pods": 19, "quota": 62}, "about 52 with weight 15"),
    ],
)  # fmt: skip
def test_each_reason_why_not_yet(changes: dict[str, Any], why: str) -> None:
    found = decided(**changes)
    assert (found.due, found.done) == (None, False)
    (told,) = found.why_not
    assert why in told


def test_the_edge_of_the_places_is_the_redirectors_own() -> None:
    """It takes a member out when pods + headroom reach the quota; 19 pods become 52.01 at weight 15."""
    assert decided(pods=19, quota=63).due == 15
    assert decided(pods=19, quota=62).due is None
    assert decided(pods=19, quota=None).due == 15


def test_a_member_without_weight_needs_no_launches_yet() -> None:
    assert decided(0, launches=None, deployed=None, pods=0, quota=20).due == 5


def test_all_reasons_are_told_at_once() -> None:
    found = decided(standing=Standing("n", False, "unknown", "x"), launches=Launches(0, 9), deployed=1)
    assert len(found.why_not) == 3


@pytest.mark.parametrize(
    "text", ["", "5,", "a", "5,5", "15,5", "0,5", "-1", "5.5", "5;15", "1e3", "\N{ARABIC-INDIC DIGIT FIVE}"]
)
def test_steps_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match=r"expected|must be"):
        parse_steps(text)


def test_steps() -> None:
    assert parse_steps("5, 15,30,50") == STEPS


def test_launches_are_read_from_binderhubs_own_counters() -> None:
    text = (
        "# TYPE binderhub_launch_time_seconds histogram\n"
        'binderhub_launch_time_seconds_bucket{le="2.0",retries="0",status="success"} 3.0\n'
        'binderhub_launch_time_seconds_count{retries="0",status="success"} 40.0\n'
        'binderhub_launch_time_seconds_count{retries="1",status="success"} 2.0\n'
        'binderhub_launch_time_seconds_count{retries="-1",status="retry"} 9.0\n'
        'binderhub_launch_time_seconds_count{retries="-1",status="failure"} 1.0\n'
    )
    assert parse_launches(text) == Launches(42, 1)
    assert parse_launches("# nothing\n") is None
