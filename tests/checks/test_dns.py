"""Whether names lead to the host, and the record to paste when they do not."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.checks import dns
from binderbox.checks.core import run_checks
from binderbox.member.model import Member
from binderbox.parts.checks import of
from tests.checks.fakes import FakeProbe, facts

HOST = "203.0.113.7"
DOMAIN = "binder.example.org"


def run(**changes: Any) -> dict[str, Any]:
    return {result.id: result for result in run_checks(of("dns"), FakeProbe(**changes))}


def test_records_that_lead_to_the_host_pass() -> None:
    results = run(
        records={(DOMAIN, "A"): (HOST,), (f"hub.{DOMAIN}", "A"): (HOST,), (f"*.{DOMAIN}", "A"): (HOST,)}
    )
    assert {result.verdict for result in results.values()} == {"pass"}


def test_a_missing_wildcard_is_found_with_a_random_label_and_the_record_can_be_pasted() -> None:
    probe = FakeProbe(records={(DOMAIN, "A"): (HOST,), (f"hub.{DOMAIN}", "A"): (HOST,)})
    results = {result.id: result for result in run_checks(of("dns"), probe)}
    assert {id for id, result in results.items() if result.verdict == "fail"} == {"BBX-D03"}
    assert results["BBX-D03"].measured == "no such record"
    assert f"*.{DOMAIN}.  300  IN  A  {HOST}" in results["BBX-D03"].fix
    (label,) = {name.split(".")[0] for name in probe.asked if name.count(".") > 2} - {"hub", "binder"}
    again = FakeProbe()
    run_checks(of("dns"), again)
    assert len(label) == 16
    assert not any(name.startswith(label) for name in again.asked)


def test_a_record_that_leads_elsewhere_or_to_several_places_fails() -> None:
    for found in (("198.51.100.1",), (HOST, "198.51.100.1")):
        assert dns.judge_record(dns.Record(DOMAIN, "A", found, HOST)).verdict == "fail"


def test_behind_nat_the_fix_is_ingress_ip() -> None:
    verdict = dns.judge_record(dns.Record(DOMAIN, "A", (HOST,), "10.0.0.5"))
    assert "ingress_ip: 203.0.113.7" in verdict.fix
    member = Member(domain=DOMAIN, ingress_ip=HOST)
    records = {(DOMAIN, "A"): (HOST,)}
    assert run(member=member, facts=facts(address="10.0.0.5"), records=records)["BBX-D01"].verdict == "pass"


@pytest.mark.parametrize("name", [DOMAIN, f"hub.{DOMAIN}"])
@pytest.mark.parametrize("address", ["2001:db8::9", "2001:db8::7"], ids=["of another host", "of this host"])
def test_an_ipv6_record_is_refused_because_nothing_listens_there(name: str, address: str) -> None:
    found = run(records={(name, "AAAA"): (address,)})["BBX-D04"]
    assert (found.verdict, found.measured) == ("fail", address)
    assert "take the AAAA record" in found.fix


@pytest.mark.parametrize("domain", ["demo.localhost", "binder.test", "a.b.internal"])
def test_a_demo_name_is_skipped_with_its_reason_and_nobody_is_asked(domain: str) -> None:
    probe = FakeProbe(member=Member(domain=domain))
    results = run_checks(of("dns"), probe)
    assert {result.verdict for result in results} == {"skip"}
    assert results[0].measured == f"{domain} is no name of the public DNS"
    assert probe.asked == []
