"""The model against closed forms, and against launches simulated one by one with the rules' own code."""

from __future__ import annotations

import math
import statistics
from random import Random

import pytest

from binderbox.federation.redirector.config import Balancer, CheckTiming
from binderbox.federation.redirector.erlang import all_taken, late_errors_per_hour
from binderbox.federation.redirector.model import (
    Capacity,
    Demand,
    first_error_rate,
    first_leave_rate,
    leaves_after_h,
    outlook,
    share_spread,
)
from binderbox.federation.redirector.rules import rank
from binderbox.federation.redirector.weights import fitting_weights
from tests.federation.simulation import Outcome, simulate

HOUR_S = 3600


def today(*weights: int) -> list[Capacity]:
    """Three members with the quotas of today's federation."""
    quotas = (300, 180, 60)
    return [Capacity(name, weight, quota) for name, weight, quota in zip("abc", weights, quotas, strict=True)]


def at(sessions: float, session_h: float = 0.5) -> Demand:
    return Demand(sessions / session_h, session_h)


def assert_alike(members: list[Capacity], demand: Demand, found: Outcome) -> None:
    """Shares to a percentage point; while errors are rare, time in rotation to three and sessions to 3 %."""
    told = outlook(members, demand)
    for one in told.members:
        assert one.share == pytest.approx(found.went[one.name] / found.launches, abs=0.01), one
    if told.errors_per_launch < 0.001:
        for one in told.members:
            assert one.in_rotation == pytest.approx(found.in_rotation[one.name], abs=0.03), one
            assert one.sessions == pytest.approx(found.pods[one.name], rel=0.03, abs=1), one


def assert_errors_alike(members: list[Capacity], demand: Demand, found: Outcome) -> None:
    told = outlook(members, demand).errors_per_launch
    assert found.errors_per_launch / 2 <= told <= found.errors_per_launch * 2


@pytest.mark.parametrize("sessions", [200, 420])
def test_shares_as_simulated_while_a_small_member_is_full(sessions: int) -> None:
    assert_alike(today(50, 50, 50), at(sessions), simulate(today(50, 50, 50), at(sessions), 60_000))


def test_errors_as_simulated_when_all_places_are_nearly_taken() -> None:
    found = simulate(today(50, 50, 50), at(520), 60_000)
    assert_alike(today(50, 50, 50), at(520), found)
    assert_errors_alike(today(50, 50, 50), at(520), found)


def test_weights_that_fit_keep_every_member_in_rotation_where_equal_ones_do_not() -> None:
    fit = fitting_weights(today(1, 1, 1), 400)
    found = simulate(today(*fit.values()), at(400), 60_000)
    assert min(found.in_rotation.values()) > 0.97
    assert simulate(today(50, 50, 50), at(400), 20_000).in_rotation["c"] < 0.5


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("load_balancer", "sessions"), [("random", 90), ("rendezvous", 90), ("random", 450)])
def test_a_million_launches_share_as_foretold(load_balancer: Balancer, sessions: int) -> None:
    """Within 1 %: of each share itself while all are in rotation, of all launches when members come and go."""
    members, demand = today(50, 50, 50), at(sessions)
    if sessions == 90:  # short sessions, so that there are fewer checks to play for each launch
        members, demand = today(60, 30, 10), at(sessions, 0.05)
    found = simulate(members, demand, 1_000_000, load_balancer=load_balancer, repositories=1_000_000)
    assert found.launches == 1_000_000
    assert_alike(members, demand, found)
    for one in outlook(members, demand).members if sessions == 90 else ():
        assert one.share == pytest.approx({"a": 0.6, "b": 0.3, "c": 0.1}[one.name])
        assert one.share == pytest.approx(found.went[one.name] / found.launches, rel=0.01)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize(("sessions", "session_h"), [(460, 0.5), (490, 0.5), (360, 0.25), (500, 1.0)])
def test_errors_as_simulated_where_they_begin(sessions: int, session_h: float) -> None:
    found = simulate(today(50, 50, 50), at(sessions, session_h), 200_000)
    assert sum(found.errors.values()) > 50
    assert_errors_alike(today(50, 50, 50), at(sessions, session_h), found)


@pytest.mark.long
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("load", [0.9, 1.0, 1.1])
def test_twelve_members_as_simulated(load: float) -> None:
    members = [Capacity(str(i), 50, 60 + 20 * i) for i in range(12)]
    demand = at(load * sum((one.quota or 0) - 10 for one in members))
    found = simulate(members, demand, 240_000, warm_up_sessions=8)
    assert_alike(members, demand, found)
    assert_errors_alike(members, demand, found)


@pytest.mark.parametrize(("offered", "places"), [(1.0, 1), (20.0, 25), (300.0, 290), (0.0, 5)])
def test_erlangs_formula(offered: float, places: int) -> None:
    terms = [
        math.exp(k * math.log(offered) - math.lgamma(k + 1)) if offered else float(k == 0)
        for k in range(places + 1)
    ]
    assert all_taken(offered, places) == pytest.approx(terms[-1] / math.fsum(terms))


def test_a_member_without_a_quota_never_leaves() -> None:
    told = outlook([Capacity("a", 50, None), Capacity("b", 50, 60)], at(400))
    assert (told.members[0].in_rotation, told.nobody) == (1, 0)
    assert told.errors_per_launch * 800 == pytest.approx(told.members[1].late_errors_per_hour)
    assert told.members[0].share + told.members[1].share == pytest.approx(1)
    assert first_error_rate([Capacity("a", 50, None)], 0.5) == math.inf
    assert first_leave_rate([Capacity("a", 50, None)], 0.5) == math.inf


def test_a_quota_of_no_more_than_the_headroom_never_gets_a_launch() -> None:
    told = outlook([Capacity("a", 50, 300), Capacity("b", 50, 10), Capacity("c", 0, 300)], at(100))
    assert [round(one.share, 6) for one in told.members] == [1, 0, 0]
    assert told.errors_per_launch == pytest.approx(0, abs=1e-6)


def test_nobody_to_give_launches_to_is_refused() -> None:
    with pytest.raises(ValueError, match="weight above 0"):
        outlook([Capacity("a", 0, 300)], at(100))
    assert outlook([Capacity("a", 1, 300)], at(0)).errors_per_launch == 0


def test_when_a_member_leaves_is_when_its_pods_grow_to_its_places() -> None:
    """Stepped second by second: launches come evenly, sessions end in proportion to the pods."""
    member, rate, session_h = Capacity("c", 50, 60, used=10), 200.0, 0.5
    pods, seconds = member.used, 0
    while pods < 50:
        pods += (rate - pods / session_h) / HOUR_S
        seconds += 1
    assert leaves_after_h(member, rate, session_h) == pytest.approx(seconds / HOUR_S, rel=0.001)
    assert leaves_after_h(member, 100, session_h) is None  # 50 sessions is what it can hold for ever
    assert leaves_after_h(Capacity("c", 50, 60, used=50), 1, session_h) == 0


def test_late_news_costs_launches_only_beyond_the_headroom() -> None:
    """As often as the last place is taken, a Poisson number of launches in up to 67.5 s, drawn one by one."""
    draw, rate, places = Random(1), 900.0, 170
    beyond = 0.0
    for _ in range(40_000):
        hours = draw.uniform(0, 67.5) / HOUR_S
        beyond += max(0, _poisson(draw, rate * hours) - _poisson(draw, places / 0.5 * hours) - 10) / 40_000
    told = late_errors_per_hour(1.0, places, 0.5, [(1.0, rate)], 10, CheckTiming())
    assert told == pytest.approx(
        beyond * 40, rel=0.05
    )  # it leaves 40 times an hour at most: out for 90 s each time
    assert late_errors_per_hour(1.0, places, 0.5, [(1.0, 20)], 10, CheckTiming()) < 1e-12


def test_spread_of_shares_with_rendezvous_is_the_luck_of_names() -> None:
    weights, draws = [("a", 60.0), ("b", 30.0), ("c", 10.0)], 4000
    popularity = [0.4, 0.3, 0.2, 0.1]
    shares = [
        sum(part for i, part in enumerate(popularity) if rank(weights, f"/build/gh/o/r{draw}-{i}")[0] == "a")
        for draw in range(draws)
    ]
    assert statistics.fmean(shares) == pytest.approx(0.6, abs=0.02)
    assert statistics.pstdev(shares) == pytest.approx(share_spread(0.6, popularity), rel=0.05)


def test_first_error_is_where_errors_reach_the_level() -> None:
    rate = first_error_rate(today(50, 50, 50), 0.5)
    assert outlook(today(50, 50, 50), Demand(rate * 0.99, 0.5)).errors_per_launch < 0.001
    assert outlook(today(50, 50, 50), Demand(rate * 1.001, 0.5)).errors_per_launch >= 0.001
    assert (
        first_leave_rate(today(50, 50, 50), 0.5) < rate / 3
    )  # a small member leaves long before users see an error


def test_weights_fit_until_the_last_usable_place() -> None:
    at_the_brink = fitting_weights(today(1, 1, 1), 510, total=510)
    assert at_the_brink == {"a": 290, "b": 170, "c": 50}
    assert fitting_weights(today(1, 1, 1), 100)["c"] < 8  # with more room a small member needs more of it
    with pytest.raises(ValueError, match="510 usable places"):
        fitting_weights(today(1, 1, 1), 511)
    with pytest.raises(ValueError, match="b: weights need a quota above 10, found None"):
        fitting_weights([Capacity("a", 1, 60), Capacity("b", 1, None)], 10)


def _poisson(draw: Random, mean: float) -> int:
    number, left = -1, mean
    while left >= 0:
        left -= draw.expovariate(1)
        number += 1
    return number
