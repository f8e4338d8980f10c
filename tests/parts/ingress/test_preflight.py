"""What would keep an authority from giving certificates, known before anything changes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from binderbox import layout
from binderbox.checks.core import run_checks
from binderbox.checks.probe import Answer
from binderbox.decide.facts import Listener
from binderbox.member.model import Member
from binderbox.output.results import CheckResult
from binderbox.parts.checks import of
from binderbox.parts.ingress import acme
from tests.checks.fakes import FakeProbe, facts

DOMAIN = "binder.example.edu"
OWN = "https://ca.example.edu:9000/dir"


def run(id: str, member: Member | None = None, **changes: Any) -> CheckResult:
    probe = FakeProbe(member=member or Member(domain=DOMAIN), **changes)
    (found,) = (one for one in run_checks(of("dns"), probe) if one.id == id)
    return found


def directory(url: str, *identities: str) -> dict[str, Answer]:
    return {url: Answer(url, 200, body=json.dumps({"meta": {"caaIdentities": list(identities)}}))}


@pytest.mark.parametrize(
    ("where", "records", "verdict"),
    [
        (DOMAIN, (), "pass"),
        (DOMAIN, ('0 issue "letsencrypt.org"',), "pass"),
        ("edu", ('0 issue "letsencrypt.org"',), "pass"),
        ("example.edu", ('0 issue "sectigo.com"',), "fail"),
        ("example.edu", ('0 issue "sectigo.com"', '0 issue "LetsEncrypt.org"'), "pass"),
        (DOMAIN, ('0 issue ";"',), "fail"),
        (DOMAIN, ('0 issuewild ";"', '0 iodef "mailto:a@b.edu"'), "pass"),  # of wildcards alone
        (DOMAIN, ('0 issue "letsencrypt.org; validationmethods=dns-01"',), "fail"),
        (DOMAIN, ('0 issue "letsencrypt.org; validationmethods=dns-01,http-01"',), "pass"),
        (DOMAIN, ('128 tbs "unknown"', '0 issue "letsencrypt.org"'), "fail"),
        (DOMAIN, ('128 issue "letsencrypt.org"',), "pass"),
        (f"hub.{DOMAIN}", ('0 issue "sectigo.com"',), "fail"),
    ],
)
def test_caa(where: str, records: tuple[str, ...], verdict: str) -> None:
    found = run("BBX-D05", records={(where, "CAA"): records})
    assert found.verdict == verdict, found
    if verdict == "fail":
        assert f'{where}.  300  IN  CAA  0 issue "letsencrypt.org"' in found.fix


def test_the_nearest_records_count_alone() -> None:
    near = {(DOMAIN, "CAA"): ('0 issue "letsencrypt.org"',), ("example.edu", "CAA"): ('0 issue ";"',)}
    assert run("BBX-D05", records=near).verdict == "pass"


def test_another_authority_is_called_as_its_directory_says() -> None:
    member = Member(domain=DOMAIN, acme_server=OWN)
    records = {(DOMAIN, "CAA"): ('0 issue "example.edu"',)}
    assert run("BBX-D05", member, records=records, answers=directory(OWN, "example.edu")).verdict == "pass"
    assert run("BBX-D05", member, records=records, answers=directory(OWN, "other.edu")).verdict == "fail"
    assert run("BBX-D05", member, records=records).verdict == "skip"
    assert run("BBX-D05", member).verdict == "pass"


@pytest.mark.parametrize(
    "email", ["you@example.org", "you@example.com", "you@host.invalid", "you@binder.test"]
)
def test_an_address_that_authorities_refuse(email: str) -> None:
    found = run("BBX-D06", Member(domain=DOMAIN, email=email))
    assert (found.verdict, found.measured) == ("fail", email)
    assert "`email`" in found.fix


def test_an_address_of_the_domain_itself_where_none_is_given() -> None:
    assert run("BBX-D06").measured == f"postmaster@{DOMAIN}"


def test_a_token_of_the_host_comes_back_or_not() -> None:
    assert run("BBX-D07").verdict == "pass"
    shut = run("BBX-D07", outside=Answer("u", 0, error="connection timed out"))
    assert (shut.verdict, shut.measured) == ("fail", "connection timed out")
    assert "port 80" in shut.fix
    other = run("BBX-D07", outside=Answer("u", 404, body="nginx"))
    assert (other.verdict, "A record" in other.fix) == ("fail", True)


def test_a_foreign_holder_is_named_and_nothing_is_asked() -> None:
    held = facts(listeners=(Listener(80, "tcp", "0.0.0.0", "apache2", 7, "apache2.service"),))
    found = run("BBX-D07", facts=held, outside=Answer("u", 0, error="asked all the same"))
    assert (found.verdict, found.measured) == ("skip", "port 80 is held by apache2")


def test_where_the_ingress_has_the_port_it_answers_for_the_host() -> None:
    place = f"http://{DOMAIN}{layout.IDENTITY_PATH}"
    here = facts(begun=True, identity="this-host")

    def answered(status: int, body: str) -> str:
        outside = Answer("u", 0, error="no listener may be asked")
        return run(
            "BBX-D07", facts=here, answers={place: Answer(place, status, body=body)}, outside=outside
        ).verdict

    assert answered(200, "this-host\n") == "pass"
    assert answered(200, "another-host") == "fail"
    assert answered(404, "") == "fail"
    assert answered(308, "") == "warn"
    assert run("BBX-D07", facts=here).verdict == "pass"  # an install that has begun and has no ingress yet


@pytest.mark.parametrize(
    "member", [Member(domain=DOMAIN, tls="own-ca"), Member(domain="binder.test", acme_server=OWN)]
)
def test_who_asks_no_authority_of_the_public_dns_is_left_alone(member: Member) -> None:
    for id in ("BBX-D05", "BBX-D06", "BBX-D07"):
        assert run(id, member, outside=Answer("u", 0, error="asked all the same")).verdict == "skip"


def test_the_servers_have_their_names() -> None:
    assert acme.server(Member(domain=DOMAIN)) == acme.PRODUCTION
    assert acme.server(Member(domain=DOMAIN, acme_server=OWN)) == OWN
