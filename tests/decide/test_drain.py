"""What the node records of a drain, what its ingress is told, who is still there, and who is the prime."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from binderbox.commands.drain import wanted
from binderbox.commands.drained import public
from binderbox.decide.drain import (
    REASON_MOST,
    UNREADABLE,
    Drain,
    parse_record,
    reason_faults,
    render_record,
)
from binderbox.federation.members.public import is_prime
from binderbox.output.results import InFlight
from binderbox.parts.binderhub.in_flight import longest_s, make_in_flight
from binderbox.parts.ingress.drained import drain_inputs, render_routes
from tests.charts.rendering import member
from tests.places import UPSTREAM

SINCE = "2026-01-01T00:00:00+00:00"
RECORDED = UPSTREAM / "recorded/redirector/active-hosts.json"


@given(st.text(), st.booleans())
def test_a_record_is_read_back_whatever_the_reason(reason: str, closed: bool) -> None:
    drain = Drain(reason, "me@here", SINCE, closed, "k" if closed else "")
    assert parse_record(render_record(drain)) == drain


@pytest.mark.parametrize("text", ["", "{", "null", "[1]", "{}", '{"who": 3}', '{"reason"'])
def test_a_record_that_cannot_be_read_still_means_drained(text: str) -> None:
    assert parse_record(text).reason == UNREADABLE


def test_a_record_closed_without_a_key_is_open() -> None:
    """Nobody could launch any more then, the proof at the end of an install neither."""
    assert not parse_record('{"reason": "x", "closed": true}').closed


@given(st.text())
def test_routes_are_plain_for_templates_and_yaml_and_give_the_reason_back(reason: str) -> None:
    text = render_routes(Drain(reason, "me", SINCE, True, "k"), "b.example.org")
    assert "{{" not in text
    assert text.isascii()
    health = yaml.safe_load(text)["http"]["middlewares"]["drained"]["plugin"]["answer"]
    assert health["status"] == 503
    assert json.loads(health["body"])["drained"] == {"reason": reason, "since": SINCE}


def test_nobody_but_the_ingress_learns_the_key() -> None:
    drain = Drain("x", "me", SINCE, True, "s3cr3t")
    assert "s3cr3t" not in repr(public(drain)) + repr(drain) + repr(drain_inputs(member().domain, drain))
    assert "s3cr3t" in (drain_inputs(member().domain, drain).routes or "")


def test_the_first_drain_sets_the_time_and_the_last_reason_counts() -> None:
    first = datetime(2026, 1, 1, tzinfo=UTC)
    later = datetime(2026, 1, 2, tzinfo=UTC)
    drain = wanted(None, "", "a@x", first)
    assert (drain.reason, drain.who, drain.since) == ("maintenance", "a@x", SINCE)
    assert wanted(drain, "", "b@y", later) == drain
    assert wanted(drain, "maintenance", "b@y", later) == drain
    other = wanted(drain, "new disk", "b@y", later)
    assert (other.reason, other.who, other.since) == ("new disk", "b@y", SINCE)
    closed = Drain("x", "a@x", SINCE, True, "k")
    assert wanted(closed, "y", "b@y", later).closed
    assert wanted(parse_record(""), "", "b@y", later).since == later.isoformat(timespec="seconds")


@pytest.mark.parametrize(
    ("reason", "faults"), [("new disk, ümlaut 🛠", 0), ("a\nb", 1), ("\x1b[31m", 1), ("x" * 501, 1), ("\n" * 501, 2)]
)  # fmt: skip
def test_reasons_that_cannot_be_shown(reason: str, faults: int) -> None:
    assert len(reason_faults(reason)) == faults
    assert REASON_MOST == 500


def pod(component: str, created: str, phase: str = "Running") -> dict[str, Any]:
    return {
        "metadata": {"labels": {"component": component}, "creationTimestamp": created},
        "status": {"phase": phase},
    }


def test_sessions_end_when_the_culler_has_come_round_after_their_age() -> None:
    """mybinder culls at 6 h and looks every 11 min; a build may be an hour old before it becomes a session."""
    user = pod("singleuser-server", "2026-01-01T00:00:00Z")
    assert make_in_flight([user]) == InFlight(1, 0, "2026-01-01T06:11:00+00:00")
    build = pod("binderhub-build", "2026-01-01T00:00:00Z", "Pending")
    assert make_in_flight([user, build]) == InFlight(1, 1, "2026-01-01T07:11:00+00:00")
    assert longest_s() == 7 * 3600 + 660


def test_what_is_over_or_ours_is_nobody() -> None:
    over = [pod("binderhub-build", "2026-01-01T00:00:00Z", phase) for phase in ("Succeeded", "Failed")]
    left = make_in_flight([*over, pod("hub", "2026-01-01T00:00:00Z")])
    assert (left, left.none) == (InFlight(0, 0), True)


PRIME = {"prime": True, "url": "https://a.example.org", "weight": 50}
OTHER = {"prime": False, "url": "https://b.example.org/", "weight": 50}


@pytest.mark.parametrize(
    ("hosts", "url", "prime"),
    [
        ({"a": PRIME, "b": OTHER}, "https://a.example.org", True),
        ({"a": PRIME, "b": OTHER}, "https://A.example.org:443/", True),
        ({"a": PRIME, "b": OTHER}, "https://b.example.org", False),
        ({"b": OTHER}, "https://a.example.org", False),
        ({"a": {**PRIME, "url": "https://a.example.org:8443"}}, "https://a.example.org", False),
        ({"a": {**PRIME, "url": "https://a.example.org:8443"}}, "https://a.example.org:8443", True),
        ({}, "https://a.example.org", False),
    ],
)
def test_who_is_the_prime(hosts: dict[str, Any], url: str, prime: bool) -> None:
    assert is_prime({"active_hosts": hosts}, url) is prime


@pytest.mark.parametrize("answer", [None, [], {}, {"active_hosts": []}, {"active_hosts": {"a": None}}, "x"])
def test_an_answer_that_is_none_decides_nothing(answer: Any) -> None:
    with pytest.raises(ValueError, match="active_hosts"):
        is_prime(answer, "https://a.example.org")


def test_the_recorded_answer_of_a_redirector() -> None:
    if not RECORDED.exists():
        pytest.skip("the recorded answers are not beside this checkout")
    answer = json.loads(RECORDED.read_text())
    told = {one["url"]: is_prime(answer, one["url"]) for one in answer["active_hosts"].values()}
    assert sorted(told.values()) == [False, False, True]
