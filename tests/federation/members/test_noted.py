"""From which launches on a weight is judged: from when the redirector was first seen to use it."""

from __future__ import annotations

from random import Random

import pytest

from binderbox.federation.following.launches import Launches, parse_launches, parse_start
from binderbox.federation.members.noted import Counted, Noted, is_first, parse, remember, render, since
from binderbox.federation.members.ramp import LAUNCHES, decide
from binderbox.federation.redirector.config import make_config
from binderbox.federation.redirector.rules import Standing


def counted(success: int, failure: int = 0, started_s: float | None = 1.0) -> Counted:
    return Counted(Launches(success, failure), started_s)


@pytest.mark.parametrize(
    ("weights", "first"),
    [
        ([5, 5, None], True),
        ([5], True),
        ([5, 0], False),
        ([5, 15, 5, None], False),
        ([15, 5, None], False),
        ([], False),
    ],
)
def test_the_weight_with_which_a_member_came(weights: list[float | None], first: bool) -> None:
    assert is_first(weights, 5) is first


def test_counters_that_began_anew_count_from_none() -> None:
    assert since(counted(60, 1), counted(10)) == Launches(50, 1)
    assert since(counted(7), counted(10)) == Launches(7, 0)
    # more than before, and another process all the same
    assert since(counted(95, 12, 900.0), counted(40, 10)) == Launches(95, 12)
    assert since(counted(95, 12, None), counted(40, 10)) == Launches(55, 2)


def test_days_between_a_commit_and_its_use_do_not_count() -> None:
    pending = remember(None, 15, 5, counted(60, 2), first=False)
    assert pending == Noted(15, False)
    used = remember(pending, 15, 15, counted(90, 3), first=False)
    assert used == Noted(15, True, 90, 3, 1.0)
    assert remember(used, 15, 15, counted(150, 3), first=False) == used
    assert remember(used, 15, None, counted(150, 3), first=False) == used
    assert remember(used, 15, 15, None, first=False) == used
    # nobody looked between merge and deployment: this look is the first
    assert remember(None, 15, 15, counted(400, 0), first=False) == Noted(15, True, 400, 0, 1.0)
    assert remember(None, 5, 5, counted(90, 3), first=True) == Noted(5, True, 0, 0, 1.0)
    assert used is not None
    assert parse(render(used)) == used
    assert parse("") is None


@pytest.mark.parametrize("value", ["1.2.3", ".", "1e999", "1e300", "e"])
def test_numbers_that_are_none_are_no_launches(value: str) -> None:
    line = f'binderhub_launch_time_seconds_count{{retries="0",status="success"}} {value}\n'
    assert parse_launches(line) is None
    assert parse_start(f"process_start_time_seconds {value}\n") is None


def test_a_week_of_ramping_takes_each_step_after_launches_at_the_step() -> None:
    """Hour by hour: changes are merged and deployed when people get to it, the redirector and the metrics are away at
    times, and BinderHub starts anew now and then."""
    steps, chance, taken = (5.0, 15.0, 30.0, 50.0), Random(19), list[float]()
    merged = deployed = 5.0
    waiting: list[tuple[int, float, str]] = []  # (when, weight, "merge" or "deploy")
    past, noted = [5.0, None], None
    worked, at_step, started = (
        0,
        0,
        0.0,
    )  # counters of BinderHub, and launches while the redirector used the merged weight
    for hour in range(24 * 7):
        for _, weight, what in [one for one in waiting if one[0] == hour]:
            if what == "merge":
                past, merged = [weight, *past], weight
                waiting.append((hour + chance.randint(1, 9), weight, "deploy"))
            else:
                deployed, at_step = weight, 0
        launched = chance.randint(0, int(2 + deployed))
        if chance.random() < 0.03:
            worked, started = 0, started + 3600.0
        worked += launched
        at_step += launched
        unknown = chance.random() < 0.2
        now = None if chance.random() < 0.1 else counted(worked, 0, started)
        listed = None if unknown else {"a": 50.0, "n": deployed}
        used = None if listed is None else listed["n"]
        noted = remember(noted, merged, used, now, first=is_first(past, merged))
        begun = noted.counted if noted and noted.seen and noted.weight == merged else None
        url = "https://x.example"
        entry = {"url": url, "health": url, "versions": url}
        config = make_config(
            {"hosts": {"a": {**entry, "weight": 50, "prime": True}, "n": {**entry, "weight": merged}}}
        )
        found = decide(
            config, "n", steps, standing=Standing("n", True), active=["a", "n"], deployed=listed,
            now=now, begun=begun, pods=1, quota=500, reference=True, elsewhere="",
        )  # fmt: skip
        if found.due is not None:
            assert not unknown
            assert now is not None
            assert deployed == merged
            assert at_step >= LAUNCHES
            if not any(when > hour for when, _, what in waiting if what == "merge"):
                taken.append(found.due)
                waiting.append((hour + chance.randint(1, 30), found.due, "merge"))
    assert taken == [15.0, 30.0, 50.0]
