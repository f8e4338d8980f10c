"""The rules against every recorded scenario of the real redirector, and at their edges."""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.federation.redirector import rules
from binderbox.federation.redirector.config import CheckTiming, HostEntry, RedirectorConfig, make_config
from binderbox.federation.redirector.rules import Answer, MemberSeen, Standing
from tests.federation.prime import VERSIONS, make_health
from tests.federation.recordings import SCENARIOS, URLS, config_of, distinct_path, seen_in
from tests.places import UPSTREAM

ORIGINALS = UPSTREAM / "recorded/redirector"
RUNNING = [one for one in SCENARIOS.values() if "exit_status" not in one]
ENDING = [one for one in SCENARIOS.values() if "exit_status" in one]
HEALTH_LINE = re.compile(r'federation_health\{member="(.*)",reason="(.*)"\} (.*)')


def name_of(scenario: Mapping[str, Any]) -> str:
    return str(scenario["scenario"])


def config(*weights: float, **more: Any) -> RedirectorConfig:
    hosts = tuple(
        HostEntry(name, URLS[name], weight, "", "", name == "a")
        for name, weight in zip("abc", weights, strict=False)
    )
    return RedirectorConfig(hosts, **more)


@pytest.mark.skipif(not ORIGINALS.is_dir(), reason="../shared is not here: no originals to compare with")
def test_scenarios_here_say_what_the_recordings_say() -> None:
    originals = {path.stem: json.loads(path.read_text()) for path in ORIGINALS.glob("*.json")}
    assert set(originals) - {"summary", "active-hosts"} == set(SCENARIOS)
    for name, here in SCENARIOS.items():
        there = originals[name]
        for key in ("what", "members", "active_over_time", "active_at_end", "observed", "exit_status"):
            assert here.get(key) == there.get(key), (name, key)
        assert here["stopped"] == there["stopped_members"]
        assert here.get("shares", {}) == {key: one["counts"] for key, one in there.get("shares", {}).items()}
        hosts = {
            member: entry and {key: entry[key] for key in ("prime", "weight") if key in entry}
            for member, entry in there["config"]["hosts"].items()
        }
        assert here["config"] == {**there["config"], "hosts": hosts}


@pytest.mark.parametrize("scenario", RUNNING, ids=name_of)
def test_who_is_in_rotation_and_why_not(scenario: dict[str, Any]) -> None:
    standings = rules.judge_members(config_of(scenario), seen_in(scenario))
    gone = name_of(scenario) in (
        "recover",
        "rendezvous-member-leaves",
    )  # they end with b back; looked at below
    if not gone:
        assert sorted(one.name for one in standings if one.active) == scenario["active_at_end"]
        told = {(m[1], m[2]) for line in scenario["gauges"] if (m := HEALTH_LINE.match(line))}
        assert {(one.name, one.reason) for one in standings if one.reason != rules.WEIGHT} == told
    assert all(one.detail for one in standings if not one.active)


@pytest.mark.parametrize("scenario", ENDING, ids=name_of)
def test_what_ends_the_redirector_at_its_start(scenario: dict[str, Any]) -> None:
    faults = rules.start_faults(config_of(scenario))
    assert len(faults) == 1
    assert ("KeyError" in faults[0]) == scenario["last_line"].startswith("KeyError")
    assert ("prime" in faults[0]) == (scenario["last_line"] == "No prime host configured!")


@pytest.mark.parametrize("scenario", RUNNING, ids=name_of)
def test_nothing_else_ends_it(scenario: dict[str, Any]) -> None:
    assert rules.start_faults(config_of(scenario)) == ()


@pytest.mark.parametrize("scenario", [one for one in RUNNING if "shares" in one], ids=name_of)
def test_shares_are_those_recorded(scenario: dict[str, Any]) -> None:
    """`rendezvous` to the last request; `random` within five standard deviations of its binomial count."""
    known, counts = config_of(scenario), scenario["shares"]
    expected = rules.shares(known, scenario["active_at_end"])
    assert math.isclose(sum(expected.values()), 1)
    for kind, recorded in counts.items():
        asked = sum(recorded.values())
        if known.load_balancer == "rendezvous":
            paths = [distinct_path(i) if kind == "distinct" else "/build/gh/a/b/HEAD" for i in range(asked)]
            went = Counter(
                rules.choose(known, scenario["active_at_end"], path, cookie="", random=Random(1)).name
                for path in paths
            )
            assert dict(went) == recorded
        else:
            assert set(recorded) == set(expected)
            for name, share in expected.items():
                near = 5 * math.sqrt(asked * share * (1 - share)) if share < 1 else 0
                assert abs(recorded[name] - asked * share) <= near


@pytest.mark.parametrize("name", ["redirects-rendezvous", "redirects-random"])
def test_each_recorded_redirect(name: str) -> None:
    scenario = SCENARIOS[name]
    known = config_of(scenario)
    redirects = [one for one in scenario["answers"] if one["status"] == 307]
    assert len(redirects) == 19
    for one in redirects:
        path = one["path"].partition("?")[0]
        cookie = rules.read_cookie(one["cookie"])
        choice = rules.choose(known, "abc", path, cookie=cookie, random=Random(1))
        went = one["location"].removesuffix(one["path"])
        if name == "redirects-rendezvous" or choice.by == "cookie":
            assert choice.url == went
        assert (choice.by == "cookie") == (cookie in URLS.values())
        form = f'host="{went}"; expires=%a, %d %b %Y %H:%M:%S GMT; Path={path}'.replace(
            "%2F", "%%2F"
        ).replace("%3A", "%%3A")
        until = datetime.strptime(one["set_cookie"], form).replace(tzinfo=UTC)
        set_at = until - timedelta(hours=4)
        assert one["set_cookie"] == rules.cookie_header(known, went, path, set_at)
        assert one["cors"] == "*"


def test_only_the_repositories_of_a_member_that_leaves_move_with_rendezvous() -> None:
    scenario = SCENARIOS["rendezvous-member-leaves"]
    known, observed = config_of(scenario), scenario["observed"]
    paths = [distinct_path(i) for i in range(observed["requests"])]
    before = [rules.choose(known, "abc", path, cookie="", random=Random(1)).name for path in paths]
    without = [rules.choose(known, "ac", path, cookie="", random=Random(1)).name for path in paths]
    assert dict(Counter(before)) == observed["share_before"]
    assert dict(Counter(without)) == observed["share_without_b"]
    assert sum(was != now for was, now in zip(before, without, strict=True) if was != "b") == 0


def test_cookie_of_a_member_that_is_out_is_not_honoured() -> None:
    scenario = SCENARIOS["cookie-of-unhealthy"]
    path = "/build/gh/a/b/HEAD"
    choice = rules.choose(config_of(scenario), "ac", path, cookie=URLS["b"], random=Random(1))
    assert {choice.url + path} == set(scenario["observed"]["locations_with_cookie_of_b"])
    assert choice.by == "load_balancer"


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("health-503", "unknown"),
        ("html-health", "unknown"),
        ("health-200-not-ok", "Docker registry"),
        ("quota-50-49-of-60", "Pod quota"),
        ("versions-differ", "versions"),
    ],
)
def test_out_as_soon_as_recorded(name: str, reason: str) -> None:
    """The recordings begin with the failure and a check, so the wait for the next check is taken off the bound."""
    scenario = SCENARIOS[name]
    known = config_of(scenario)
    out = next(one["t"] for one in scenario["active_over_time"] if one["active"] == ["a", "c"])
    first_look = scenario["checks_of_b"][0][0]
    bound = rules.out_within_s(known, reason=reason) - rules.next_check_s(known, True)[1]
    assert bound - 0.1 <= out - first_look <= bound + 0.5


def test_back_as_soon_as_recorded() -> None:
    scenario = SCENARIOS["recover"]
    back = scenario["active_over_time"][-1]
    assert back["active"] == ["a", "b", "c"]
    took = back["t"] - scenario["b_healthy_again_at"]
    assert 0 < took <= rules.back_within_s(config_of(scenario), answer_s=0.1)


def test_healthy_member_is_looked_at_as_often_as_there_are_tries() -> None:
    """Five looks in a row each period, versions before health; a named failure ends it, an unknown one pauses it."""
    healthy = SCENARIOS["versions-reordered"]["checks_of_b"]
    assert [path for _, path in healthy[:10]] == ["/versions", "/health"] * 5
    assert healthy[9][0] - healthy[0][0] < 1 < healthy[10][0] - healthy[9][0]
    assert [path for _, path in SCENARIOS["versions-differ"]["checks_of_b"][:2]] == ["/versions"] * 2
    failing = [at for at, path in SCENARIOS["health-503"]["checks_of_b"] if path == "/health"][:5]
    assert all(0.9 < later - earlier < 1.2 for earlier, later in pairwise(failing))


GOOD, BAD, OUT = Standing("b", True), Standing("b", False, "unknown"), Standing("b", False, "Pod quota")


@pytest.mark.parametrize(
    ("looks", "active"),
    [
        ([GOOD] * 5, True),
        ([BAD, BAD, BAD, BAD, GOOD], True),
        ([GOOD, GOOD, GOOD, GOOD, BAD], False),  # a blip at the very last look is enough
        ([GOOD, OUT], False),
        ([BAD, OUT], False),
    ],
)
def test_verdict_of_one_check(looks: list[Standing], active: bool) -> None:
    assert rules.judge_round(looks).active is active


@pytest.mark.parametrize(
    ("total_pods", "quota", "headroom", "active", "free"),
    [
        (49, 60, 10, True, 1),
        (50, 60, 10, False, 0),
        (0, 10, 10, False, 0),  # a quota of 10 never gets a launch
        (0, 11, 10, True, 1),
        (500, None, 10, True, None),
        (60, 60, 0, True, 0),
        (70, 60, 10, False, 0),
    ],
)
def test_quota_and_headroom(
    total_pods: int, quota: int | None, headroom: int, active: bool, free: int | None
) -> None:
    health = make_health(total_pods, quota)
    assert (rules.judge_health(Answer(200, health), headroom)[0] == "") is active
    assert rules.free_places(health, headroom) == free


@pytest.mark.parametrize(
    "body",
    [
        None,
        [],
        "ok",
        {"checks": None},
        {"checks": [{"ok": True}]},
        {"checks": [{"service": "x", "ok": "yes"}]},
        {"checks": [{"service": "Pod quota", "ok": True}]},
        {"checks": [{"service": "Pod quota", "ok": True, "quota": "60", "total_pods": 1}]},
    ],
)
def test_health_of_another_form_is_an_unknown_failure(body: Any) -> None:
    reason, detail = rules.judge_health(Answer(200, body), 10)
    assert reason == "unknown"
    assert "form" in detail
    assert rules.free_places(body, 10) is None


ODD: st.SearchStrategy[Any] = st.sampled_from(
    [None, True, False, 0, 61, -1, 1.5, math.inf, math.nan, "", "x", "60", "Pod quota", [], {}]
)
CHECK = st.dictionaries(st.sampled_from(["service", "ok", "quota", "total_pods"]), ODD)
PODS = st.fixed_dictionaries({"service": st.just("Pod quota"), "ok": ODD, "quota": ODD, "total_pods": ODD})


@given(
    ODD | st.fixed_dictionaries({"checks": ODD | st.lists(CHECK | PODS | ODD, max_size=3)}),
    st.sampled_from([0, 10]),
)
def test_whatever_a_member_answers_is_judged(body: Any, headroom: int) -> None:
    reason, detail = rules.judge_health(Answer(200, body), headroom)
    assert bool(reason) == bool(detail)
    free = rules.free_places(body, headroom)
    assert free is None or free >= 0


def test_a_check_without_a_name_that_is_not_ok_takes_a_member_out_too() -> None:
    body = {"checks": [{"service": "", "ok": False}]}
    assert rules.judge_health(Answer(200, body), 10)[0] == "unknown"


def test_checks_after_the_pods_count_only_without_headroom() -> None:
    health = make_health(1, 60)
    health["checks"].append({"service": "Disk", "ok": False})
    assert rules.judge_health(Answer(200, health), 10) == ("", "")
    assert rules.judge_health(Answer(200, health), 0)[0] == "Disk"


def test_first_check_that_is_not_ok_is_the_reason() -> None:
    health = make_health(1, 60, registry=False, hub=False)
    assert rules.judge_health(Answer(200, health), 10)[0] == "Docker registry"


def test_unhealthy_prime_sets_the_reference_all_the_same() -> None:
    newer = {**VERSIONS, "binderhub": "newer"}
    seen = {
        "a": MemberSeen("a", Answer(200, newer), Answer(503)),
        "b": MemberSeen("b", Answer(200, VERSIONS), Answer(200, make_health())),
    }
    a, b, c = rules.judge_members(config(50, 50, 50), seen)
    assert (a.reason, b.reason, c.reason, c.detail) == ("unknown", "versions", "unknown", "it was not asked")
    assert "newer" in b.detail


def test_reference_stays_while_the_prime_is_silent() -> None:
    silent = {"a": MemberSeen("a", Answer(0, error="refused"), Answer(0, error="refused"))}
    assert rules.reference_versions(config(50), silent, before=VERSIONS) == VERSIONS
    assert rules.reference_versions(config(50), silent) is None


def test_a_prime_of_weight_0_is_no_prime() -> None:
    seen = {"a": MemberSeen("a", Answer(200, {"other": 1}), Answer(200, make_health()))}
    known = config(0, 50)
    assert rules.primes(known) == ()
    assert rules.reference_versions(known, seen) is None
    assert rules.judge_members(known, seen)[0].reason == "weight"
    assert "weight 0" in rules.start_faults(known)[0]


def test_every_fault_of_the_start_is_told_at_once() -> None:
    broken = make_config({"hosts": {"a": None, "b": None}})
    assert len(rules.start_faults(broken)) == 3


def test_two_primes_and_a_shared_address_are_doubts() -> None:
    entry = HostEntry("x", URLS["a"], 1, "", "", True)
    doubts = rules.start_doubts(RedirectorConfig((entry, HostEntry("y", URLS["a"], 1, "", "", True))))
    assert ["prime" in doubts[0], "same address" in doubts[1], len(doubts)] == [True, True, 2]
    assert rules.start_doubts(config(50, 50, 50)) == ()


def test_shares_without_a_healthy_member_are_the_primes() -> None:
    assert rules.shares(config(60, 30, 10), []) == {"a": 1}
    assert rules.shares(config(60, 30, 10), ["b", "c"]) == {"b": 0.75, "c": 0.25}
    assert rules.shares(config(60, 0, 20), ["a", "b", "c"]) == {"a": 0.75, "c": 0.25}


def test_without_any_prime_nobody_can_be_chosen() -> None:
    with pytest.raises(LookupError):
        rules.choose(config(0), [], "/build/gh/x/y/HEAD", cookie="", random=Random(1))


def test_seconds_with_the_charts_values() -> None:
    """Chart: 15 s, 90 s after a failure, five tries, jitter of 5 % to each side (mybinder/values.yaml)."""
    known = config(50)
    assert rules.out_within_s(known) == pytest.approx(15.75 + 4)
    assert rules.out_within_s(known, reason="versions") == pytest.approx(15.75)
    assert rules.out_within_s(known, answer_s=rules.slowest_try_s(known)) == pytest.approx(15.75 + 4 + 50)
    assert rules.back_within_s(known) == pytest.approx(94.5)


def test_seconds_of_a_redirector_without_retries() -> None:
    timing = CheckTiming(period_s=2, jitter=0, retries=1, timeout_s=1, failed_period_s=4)
    assert rules.out_within_s(config(50, check=timing)) == 2
    assert rules.back_within_s(config(50, check=timing), answer_s=0.5) == 4.5


@pytest.mark.parametrize(
    ("header", "value"),
    [
        ("", ""),
        ("other=1", ""),
        ('host="http://x:1"; other=2', "http://x:1"),
        ("other=2;host=http://x:1", "http://x:1"),
    ],
)
def test_cookie_header_is_read(header: str, value: str) -> None:
    assert rules.read_cookie(header) == value


def test_one_repository_is_one_key_whatever_its_ref_on_github_only() -> None:
    assert rules.cache_key("/build/gh/A/b/main") == rules.cache_key("/build/gh/a/B/HEAD") == "/build/gh/a/b"
    assert rules.cache_key("/build/gl/a%2Fb/main") != rules.cache_key("/build/gl/a%2Fb/HEAD")
    assert rules.cache_key("/build/gh/a/b/feature/one") == "/build/gh/a/b/feature"
