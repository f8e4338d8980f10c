"""What the redirector's own routes tell, read from what the real program answered."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderbox.federation.members.public import parse_active_hosts, parse_out
from tests.federation.recordings import SCENARIOS
from tests.places import UPSTREAM

RECORDED = UPSTREAM / "recorded/redirector"
recorded = pytest.mark.skipif(not RECORDED.is_dir(), reason="../shared is not here: no recorded answers")
HEALTH = 'federation_health{{member="{}",reason="{}"}} {}'
CHECK = 'federation_health_check{{check="{}",member="{}"}} {}'


@recorded
def test_active_hosts_as_recorded() -> None:
    config = parse_active_hosts(json.loads((RECORDED / "active-hosts.json").read_text())).config
    assert [(one.name, one.prime, one.weight) for one in config.hosts] == [("a", True, 50), ("b", False, 50), ("c", False, 50)]  # fmt: skip


@pytest.mark.parametrize(
    ("scenario", "out"),
    [
        ("recover", {}),
        ("versions-differ", {"b": "versions"}),
        ("versions-extra-key", {"b": "versions"}),
        ("quota-50-49-of-60", {"b": "Pod quota"}),
        ("health-200-not-ok", {"b": "Docker registry"}),
        ("health-503", {"b": "unknown"}),
        ("html-health", {"b": "unknown"}),
        ("timeout", {"b": "unknown"}),
        ("prime-health-503", {"a": "unknown"}),
        ("all-unhealthy", {"a": "unknown", "b": "unknown", "c": "unknown"}),
        ("weight-0-non-prime", {}),
    ],
)
def test_why_members_are_out_as_recorded(scenario: str, out: dict[str, str]) -> None:
    found = SCENARIOS[scenario]
    assert parse_out("\n".join(found["gauges"]), frozenset(found["active_at_end"])) == out


def test_the_full_text_of_metrics_holds_other_gauges_too() -> None:
    text = (
        "# HELP federation_health Overall\n# TYPE federation_health gauge\n"
        + HEALTH.format("b", "Pod quota", "0.0")
        + '\nfederation_redirect_count{member="z",reason="cookie"} 0.0\nprocess_open_fds 14.0\n'
    )
    assert parse_out(text, frozenset("ac")) == {"b": "Pod quota"}


@pytest.mark.parametrize(
    ("lines", "why"),
    [
        # a reason that once was stays for ever: two of them, and none is today's for certain
        ([HEALTH.format("b", "versions", "0.0"), HEALTH.format("b", "unknown", "0.0"), HEALTH.format("b", "", "1.0")], "unknown"),
        # the gauge of a single check is today's
        ([HEALTH.format("b", "unknown", "0.0"), HEALTH.format("b", "versions", "0.0"), CHECK.format("versions", "b", "0.0")], "versions"),
        ([HEALTH.format("b", "", "1.0")], "unknown"),
    ],
)  # fmt: skip
def test_old_reasons_are_not_taken_for_todays(lines: list[str], why: str) -> None:
    assert parse_out("\n".join(lines), frozenset()) == {"b": why}


def test_names_that_are_none_are_left_out_of_metrics() -> None:
    assert parse_out(HEALTH.format("\x1b[31m", "x", "0.0"), frozenset()) == {}


@pytest.mark.parametrize(
    "body",
    [None, [], {}, {"active_hosts": []}, {"active_hosts": {"x": 1}}, {"active_hosts": {"a\nb": {}}}, {"active_hosts": {"x" * 70: {}}}],
)  # fmt: skip
def test_an_answer_that_is_no_list_is_refused(body: Any) -> None:
    with pytest.raises(ValueError, match=r"expected|no names"):
        parse_active_hosts(body)


def test_no_active_member_is_an_answer() -> None:
    assert parse_active_hosts({"active_hosts": {}}).config.hosts == ()
