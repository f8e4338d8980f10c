"""What `federation status` and `federation check` say of members that are well, and of each way to be ill."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from binderbox.commands.federation.ask import Asked, deploy_config
from binderbox.commands.federation.change import weight
from binderbox.commands.federation.check import check_member
from binderbox.commands.federation.look import status
from binderbox.commands.federation.writing import Place
from binderbox.errors import EndpointFailed, UsageError
from binderbox.federation.members.look import MemberCheck
from binderbox.federation.members.observed import parsed
from binderbox.federation.members.render import render_check, render_status
from binderbox.output.requests import Connection
from tests.federation.looking import CHECK, Quiet, Small, deploy_repository, small_federation
from tests.federation.member import Member
from tests.federation.prime import VERSIONS, make_health


@pytest.fixture
def small() -> Iterator[Small]:
    with small_federation(a=50, b=30, c=20) as made:
        yield made


@pytest.fixture
def new() -> Iterator[Member]:
    """A member that has not joined."""
    with Member(health=make_health(0, 20)) as made:
        yield made


def check(given: str, small: Small, **options: Any) -> MemberCheck:
    return check_member(given, Asked(small.url), Quiet(), **options)


def verdicts(found: MemberCheck) -> dict[str, str]:
    return {one.id: one.verdict for one in found.checks}


def of(found: MemberCheck, number: int) -> Any:
    return next(one for one in found.checks if one.id == f"BBX-F{number:02}")


# status


def test_three_healthy_members_with_shares_and_room(small: Small) -> None:
    for name, quota in (("a", 300), ("b", 180), ("c", 60)):
        small.members[name].health = make_health(49, quota)
    found = status(Asked(small.url))
    assert found.well
    assert [(one.name, one.active, one.redirector, one.share, one.free) for one in found.members] == [
        ("a", True, True, 0.5, 241),
        ("b", True, True, 0.3, 121),
        ("c", True, True, 0.2, 1),
    ]
    assert [round(one.capacity_share or 0, 3) for one in found.members] == [0.556, 0.333, 0.111]
    assert [one.versions for one in found.members] == ["prime", "equal", "equal"]
    text = render_status(found)
    assert "a (prime)" in text
    assert text.endswith(f"{small.url}: 3 of 3 members get launches")


def test_a_quota_that_is_not_known_makes_no_share_of_capacity(small: Small) -> None:
    small.members["a"].health = make_health(1, 300)
    assert [one.capacity_share for one in status(Asked(small.url)).members] == [None, None, None]


def test_a_member_that_is_out_is_told_by_the_redirectors_metrics(small: Small) -> None:
    small.members["b"].versions = {**VERSIONS, "binderhub": "other"}
    small.redirector.wait_until({"a", "c"}, 20)
    found = status(Asked(small.url))
    assert not found.well
    out = found.members[-1]
    assert (out.name, out.active, out.redirector, out.reason, out.weight) == (
        "b",
        False,
        False,
        "versions",
        None,
    )
    assert [(one.name, one.share) for one in found.members[:2]] == [("a", 50 / 70), ("c", 20 / 70)]


def test_a_deployment_repository_knows_those_that_are_out(small: Small, tmp_path: Path) -> None:
    small.members["b"].health = make_health(51, 60)
    small.redirector.wait_until({"a", "c"}, 20)
    asked = Asked(small.url, deploy_config(str(small.repository(tmp_path, c=0))), "there")
    found = status(asked)
    a, b, c = found.members
    assert (b.active, b.reason, b.free, b.redirector) == (False, "Pod quota", 0, False)
    assert (c.active, c.reason, c.share) == (False, "weight", 0.0)
    assert a.share == 1.0
    assert any("the redirector has c with weight 20" in note for note in found.notes)


def test_what_the_redirector_does_otherwise_is_said(small: Small, tmp_path: Path) -> None:
    small.members["b"].status = 503
    small.redirector.wait_until({"a", "c"}, 20)
    small.redirector.close()  # so that it cannot look again before we do
    small.members["b"].status = None
    deploy = deploy_config(str(small.repository(tmp_path)))
    found = status(Asked(small.url, deploy, "there"))
    assert [one.active for one in found.members] == [True, True, True]
    assert [one.redirector for one in found.members] == [None, None, None]
    assert any("who is in is by its rules alone" in note for note in found.notes)


def test_a_prime_that_is_out_would_not_stop_the_redirector(small: Small) -> None:
    """Its quota is full: a normal minute. /active_hosts then lacks it, and a start is not what is asked about."""
    small.members["a"].health = make_health(190, 200)
    small.redirector.wait_until({"b", "c"}, 20)
    found = status(Asked(small.url))
    assert found.faults == ()
    assert [one.name for one in found.members] == ["b", "c", "a"]
    assert any("the prime is not among the active members" in note for note in found.notes)
    assert "would stop" not in render_status(found)


def test_faults_of_a_start_are_those_of_a_configuration(small: Small, tmp_path: Path) -> None:
    hosts = small.hosts()
    hosts["a"]["prime"] = False
    deploy = deploy_config(str(deploy_repository(tmp_path, hosts, {"check": CHECK})))
    assert status(Asked(small.url, deploy, "there")).faults == ("no member has `prime: true`",)


def test_the_word_of_the_redirector_wins_over_what_the_rules_make_of_a_look(
    small: Small, tmp_path: Path
) -> None:
    """The prime's versions fail after the start: the program keeps the last, and has whoever differs out."""
    small.members["b"].versions = {**VERSIONS, "binderhub": "other"}
    small.redirector.wait_until({"a", "c"}, 20)
    small.members["a"].page["/versions"] = "none"
    found = status(Asked(small.url, deploy_config(str(small.repository(tmp_path))), "there"))
    shown = {one.name: (one.active, round(one.share, 3)) for one in found.members}
    assert shown["b"] == (False, 0.0)
    assert shown["c"][0]


def test_one_odd_entry_hides_no_other() -> None:
    with Member() as one, Member() as other:
        hosts = {"j": {**one.entry(5), "weight": "50"}, "k": other.entry(50, prime=True)}
        other.page["/active_hosts"] = json.dumps({"active_hosts": hosts})
        found = status(Asked(other.url))
        assert [row.name for row in found.members] == ["k"]
        assert found.faults == ()
        assert found.odd == (
            "hosts.j.weight: expected a number of at least 0, found '50'; with it every launch ends in a 500",
        )
        assert not found.well


def test_an_odd_name_and_numbers_beyond_reason_hide_no_other() -> None:
    with Member() as one, Member() as other:
        hosts = {"\u00e9": one.entry(5, prime=False), "j": {**one.entry(5, prime=False), "weight": 10**400}}
        hosts["k"] = other.entry(50, prime=True)
        other.page["/active_hosts"] = json.dumps({"active_hosts": hosts})
        other.page["/metrics"] = 'federation_health{member="gone",reason="x"} 1.2.3\n'
        found = status(Asked(other.url))
        assert [row.name for row in found.members] == ["k"]
        assert len(found.odd) == 2


def test_an_answer_without_end_is_no_json() -> None:
    body, error = parsed(b"[" * 100_000, "application/json", "json")
    assert (body, error.startswith("no JSON: ")) == (None, True)


@pytest.mark.parametrize("weight", [0, None])
def test_where_nobody_gets_launches_nothing_is_well(weight: int | None) -> None:
    with Member() as other:
        hosts = {} if weight is None else {"k": other.entry(0, prime=True)}
        other.page["/active_hosts"] = json.dumps({"active_hosts": hosts})
        other.page["/metrics"] = ""
        found = status(Asked(other.url))
        assert not found.well
        assert "no member gets launches" in render_status(found)


def test_when_nobody_at_all_answers_it_is_rather_our_own_network(tmp_path: Path) -> None:
    with Member() as gone:
        hosts, url = {"a": gone.entry(50, prime=True)}, gone.url
    deploy = deploy_config(str(deploy_repository(tmp_path, hosts, {})))
    with pytest.raises(EndpointFailed, match="nobody answered, neither"):
        status(Asked(url, deploy, "there"))


def test_without_redirector_and_repository_there_is_no_list(small: Small) -> None:
    with Member() as other:
        other.page["/active_hosts"] = "<!doctype html>"
        with pytest.raises(EndpointFailed, match="it answers HTML, where JSON is needed"):
            status(Asked(other.url))
        other.page["/active_hosts"] = '{"active_hosts": {"\\u001b[31m": {}}}'
        with pytest.raises(EndpointFailed, match=r"these are no names of members: \[31m"):
            status(Asked(other.url))
        other.page["/active_hosts"] = '{"active_hosts": {"x": {"url": "javascript:1", "weight": "much"}}}'
        with pytest.raises(EndpointFailed, match=r"hosts\.x\.url: expected an address"):
            status(Asked(other.url))


# check


def test_a_member_that_is_right_is_ready_before_it_joins(small: Small, new: Member) -> None:
    found = check(new.url, small)
    bad = {one.id: one.measured for one in found.checks if one.verdict == "fail"}
    assert set(bad) == {"BBX-F03"}, bad  # plain http in this test; TLS is in test_federation_tls
    assert found.receives
    assert verdicts(found)["BBX-F12"] == "pass"
    assert [what for _, what in new.requests][-2:] == ["GET /user/x/api/status", "POST /user/x/api/shutdown"]


def test_a_name_of_the_federation_is_that_member(small: Small) -> None:
    found = check("b", small)
    assert (found.name, found.url, of(found, 1).measured) == ("b", small.members["b"].url, "weight 30")
    assert check(small.members["b"].url + "/", small, launch=False).name == "b"


def test_another_secret_is_a_403_that_health_never_shows(small: Small, new: Member) -> None:
    new.secret = b"1" * 32
    for launch in (True, False):
        found = check(new.url, small, launch=launch)
        assert found.receives
        assert not found.ready
        token = of(found, 11)
        assert (token.verdict, token.measured) == ("fail", "403 for a token of the prime's page")
        assert "binderbox secrets set HOST build-token" in token.fix


def test_a_knock_launches_nothing_and_proves_no_launch(small: Small, new: Member) -> None:
    found = check(new.url, small, launch=False)
    seen = verdicts(found)
    assert (seen["BBX-F11"], seen["BBX-F12"], seen["BBX-F13"], seen["BBX-F14"]) == (
        "pass",
        "skip",
        "skip",
        "skip",
    )
    assert not found.ready
    assert "that launches succeed was not proved" in render_check(found) or "not ready" in render_check(found)
    assert not [what for _, what in new.requests if "/user/x/" in what]


MANY = make_health(0, 20)
MANY["checks"][2]["total_pods"] = "many"


def broken(new: Member, **changes: Any) -> None:
    for name, value in changes.items():
        setattr(new, name, value)


@pytest.mark.parametrize(
    ("changes", "number", "measured"),
    [
        ({"versions": {**VERSIONS, "builder": "x"}}, 4, "builder is x, the prime's quay.io/jupyterhub/repo2docker:2026.4.0"),
        ({"versions": {**VERSIONS, "more": 1}}, 4, "more is there, and the prime has none"),
        ({"page": {"/versions": "<html>"}}, 4, "/versions: it answers HTML, where JSON is needed"),
        ({"health": make_health(0, 20, registry=False)}, 5, "/health: HTTP 503; not ok: Docker registry"),
        ({"health": {"ok": True}}, 6, "none"),
        ({"health": {"ok": True, "checks": make_health(0, 20)["checks"][::-1]}}, 6, "Pod quota, JupyterHub API, Docker registry"),
        ({"health": make_health(0, 10)}, 7, "0 of 10 pods, 10 kept free"),
        ({"health": make_health(10, 20)}, 7, "10 of 20 pods, 10 kept free"),
        ({"health": MANY}, 7, "many of 20 pods, 10 kept free"),
        ({"cors": None}, 9, "/health allows nobody; /versions allows nobody"),
        ({"cors": "https://mybinder.org"}, 10, "/build allows https://mybinder.org"),
        ({"fails": "no space left\n"}, 12, "no space left"),
        ({"server_url": "https://elsewhere.example/user/x/"}, 12, "its server is said to be at https://elsewhere.example/user/x/, which is not below 127.0.0.1"),
        ({"server_url": "http://127.0.0.1:1/user/x/"}, 12, "the server at http://127.0.0.1:1/user/x/ does not answer"),
        ({"buffered": True}, 13, "all at once"),
        ({"client_ip": "10.42.0.1"}, 14, "it takes 10.42.0.1 for the visitor"),
        ({"client_ip": "\x1b[2Jme"}, 14, "[2Jme"),
    ],
)  # fmt: skip
def test_each_fault_fails_its_own_check(
    small: Small, new: Member, changes: dict[str, Any], number: int, measured: str
) -> None:
    broken(new, **changes)
    found = check(new.url, small)
    one = of(found, number)
    assert one.verdict == "fail"
    assert measured in one.measured
    assert "\x1b" not in one.measured
    assert one.needed
    assert one.fix
    assert not found.ready


@pytest.mark.parametrize("address", ["203.0.114.9", "2606:4700::1"])
def test_a_public_address_of_the_visitor_is_right(small: Small, new: Member, address: str) -> None:
    new.client_ip = address
    assert of(check(new.url, small), 14).verdict == "pass"


def test_a_slow_member_is_warned_of(small: Small, new: Member) -> None:
    new.delay_s = 1.1
    one = of(check(new.url, small, launch=False), 8)
    assert (one.verdict, one.needed) == ("warn", "1 s each; 5 s is the end")


def test_a_member_that_is_there_under_another_name(small: Small, tmp_path: Path) -> None:
    deploy = deploy_config(str(small.repository(tmp_path)))
    twin = [*deploy.hosts, type(deploy.hosts[1])(**{**vars(deploy.hosts[1]), "name": "again"})]
    asked = Asked(small.url, type(deploy)(**{**vars(deploy), "hosts": tuple(twin)}), "there")
    one = of(check_member("again", asked, Quiet(), launch=False), 2)
    assert (one.verdict, "is also b" in one.measured) == ("fail", True)


def test_when_the_prime_does_not_answer_nothing_is_guessed(small: Small, new: Member) -> None:
    prime = small.members["a"]
    prime.page = {"/versions": "<html>", "/v2/gh/binder-examples/requirements/50533eb": "<html>no token"}
    found = check(new.url, small)
    assert of(found, 4).verdict == "warn"
    assert (of(found, 11).verdict, "no build token" in of(found, 11).measured) == ("warn", True)
    assert of(found, 12).verdict == "pass"
    assert not found.ready


def test_nobody_there_is_told_once_and_for_all(small: Small) -> None:
    found = check("http://127.0.0.1:1", small)
    assert not found.receives
    assert "refused" in of(found, 1).measured
    assert of(found, 11).verdict == "skip"


@pytest.mark.parametrize("given", ["https://", "https://user:word@b.example", "https://b.example/?x=1"])
def test_what_is_no_address_is_refused(small: Small, given: str) -> None:
    with pytest.raises(UsageError):
        check(given, small)


def test_a_member_that_is_out_is_one(small: Small) -> None:
    """Exactly when an operator looks at a sick one, no ssh to a host of that name is tried."""
    small.members["b"].versions = {**VERSIONS, "binderhub": "other"}
    small.redirector.wait_until({"a", "c"}, 20)
    with pytest.raises(UsageError, match="b is a member that is out of rotation now"):
        check("b", small, connection=Connection("b"))
    with pytest.raises(UsageError, match="b is a member that is out of rotation now"):
        weight("b", "5", "", Place(federation=small.url))


def test_an_unknown_name_lists_the_known_ones(small: Small) -> None:
    with pytest.raises(UsageError, match="nobody is no member") as caught:
        check("nobody", small)
    assert caught.value.cause == "members are: a, b, c"
