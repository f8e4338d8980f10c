"""From which launches on a weight is judged: by the commit that set it, and by when the redirector began to use it."""

from __future__ import annotations

from random import Random

import pytest

from binderbox.federation.following.launches import Launches
from binderbox.federation.members.noted import (
    Noted,
    Past,
    line_of,
    parse,
    remember,
    render,
    since,
    told_by_commits,
)
from binderbox.federation.members.ramp import LAUNCHES, decide
from binderbox.federation.redirector.config import make_config
from binderbox.federation.redirector.rules import Standing

NOTE = line_of(Launches(40, 2))


@pytest.mark.parametrize(
    ("past", "told"),
    [
        ([Past(f"x\n\n{NOTE}\n", 15), Past("", 5)], Launches(40, 2)),
        ([Past("another member", 15), Past(f"x\n\n{NOTE}", 15), Past("", 5)], Launches(40, 2)),
        ([Past("by hand", 15), Past(NOTE, 5)], None),
        ([Past("by hand", 15), Past("it joins", None)], Launches(0, 0)),
        ([Past("drained, and back", 5), Past("", 0)], None),
        ([Past("the first commit of all", 5)], Launches(0, 0)),
        ([Past("not merged here", 5)], None),
        ([], None),
    ],
)
def test_the_commit_that_set_a_weight_tells(past: list[Past], told: Launches | None) -> None:
    weight = 5 if past and past[0].weight == 5 else 15
    if past and past[0].message == "not merged here":
        weight = 30
    assert told_by_commits(past, weight) == told


def test_counters_that_began_anew_count_from_none() -> None:
    assert since(Launches(60, 1), Launches(10, 0)) == Launches(50, 1)
    assert since(Launches(7, 0), Launches(10, 0)) == Launches(7, 0)


def test_days_between_a_commit_and_its_use_do_not_count() -> None:
    by_commits = Launches(40, 2)
    pending = remember(None, 15, 5, Launches(60, 2), by_commits)
    assert pending == Noted(15, False)
    used = remember(pending, 15, 15, Launches(90, 3), by_commits)
    assert used == Noted(15, True, 90, 3)
    assert remember(used, 15, 15, Launches(150, 3), by_commits) == used
    assert remember(used, 15, None, Launches(150, 3), by_commits) == used
    assert remember(None, 15, 15, Launches(90, 3), by_commits) == Noted(15, True, 40, 2)
    assert remember(None, 15, 15, Launches(90, 3), None) == Noted(15, True, 90, 3)
    assert used is not None
    assert parse(render(used)) == used
    assert parse("") is None


def test_a_week_of_ramping_takes_each_step_after_launches_at_the_step() -> None:
    """Hour by hour: changes are merged and deployed when people get to it, the redirector and the metrics are away at
    times, and BinderHub starts anew now and then."""
    steps, chance, taken = (5.0, 15.0, 30.0, 50.0), Random(19), list[float]()
    merged = deployed = 5.0
    waiting: list[tuple[int, float, str]] = []  # (when, weight, "merge" or "deploy")
    past, noted = [Past("it joins", 5.0), Past("before", None)], None
    worked, at_step = 0, 0  # counters of BinderHub, and launches while the redirector used the merged weight
    for hour in range(24 * 7):
        for _, weight, what in [one for one in waiting if one[0] == hour]:
            if what == "merge":
                past, merged = [Past(f"x\n\n{line_of(Launches(worked, 0))}", weight), *past], weight
                waiting.append((hour + chance.randint(1, 9), weight, "deploy"))
            else:
                deployed, at_step = weight, 0
        launched = chance.randint(0, int(2 + deployed))
        worked = launched if chance.random() < 0.03 else worked + launched
        at_step += launched
        unknown = chance.random() < 0.2
        launches = None if chance.random() < 0.1 else Launches(worked, 0)
        listed = None if unknown else {"a": 50.0, "n": deployed}
        used = None if listed is None else listed["n"]
        noted = remember(noted, merged, used, launches, told_by_commits(past, merged))
        begun = noted.launches if noted and noted.seen and noted.weight == merged else None
        url = "https://x.example"
        entry = {"url": url, "health": url, "versions": url}
        config = make_config(
            {"hosts": {"a": {**entry, "weight": 50, "prime": True}, "n": {**entry, "weight": merged}}}
        )
        found = decide(
            config, "n", steps, standing=Standing("n", True), active=["a", "n"], deployed=listed,
            launches=launches, begun=begun, pods=1, quota=500,
        )  # fmt: skip
        if found.due is not None:
            assert not unknown
            assert launches is not None
            assert deployed == merged
            assert at_step >= LAUNCHES
            if not any(when > hour for when, _, what in waiting if what == "merge"):
                taken.append(found.due)
                waiting.append((hour + chance.randint(1, 30), found.due, "merge"))
    assert taken == [15.0, 30.0, 50.0]
