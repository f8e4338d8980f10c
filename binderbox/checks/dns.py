"""Whether the public names lead to the host. A name that public DNS cannot know (a demo's) is skipped."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from ipaddress import ip_address

from binderbox.checks.core import Check, Verdict, failed, passed
from binderbox.checks.probe import Probe, Skip

NEVER_PUBLIC = (
    "localhost",
    "test",
    "invalid",
    "example",
    "local",
    "internal",
)  # RFC 6761, RFC 6762, RFC 9476


@dataclass(frozen=True)
class Record:
    """What DNS has for a name, and the address it should have; `written` is the name as an operator writes it."""

    written: str
    kind: str
    found: tuple[str, ...]
    wanted: str


def is_demo_name(domain: str) -> bool:
    return domain.rpartition(".")[2] in NEVER_PUBLIC


def look_domain(probe: Probe) -> Record:
    return _look(probe, probe.member.domain, probe.member.domain)


def look_hub(probe: Probe) -> Record:
    return _look(probe, probe.member.hub_domain, f"*.{probe.member.domain}")


def look_wildcard(probe: Probe) -> Record:
    """A label that nobody can have entered by hand, so that only a wildcard answers."""
    return _look(probe, f"{secrets.token_hex(8)}.{probe.member.domain}", f"*.{probe.member.domain}")


def look_ipv6(probe: Probe) -> Record:
    _skip_demo(probe)
    names = (probe.member.domain, probe.member.hub_domain)
    found = tuple(address for name in names for address in probe.dns(name, "AAAA"))
    return Record(" and ".join(names), "AAAA", tuple(dict.fromkeys(found)), "")


def _look(probe: Probe, name: str, written: str) -> Record:
    _skip_demo(probe)
    wanted = probe.member.ingress_ip or probe.facts.address
    return Record(written, "A", probe.dns(name, "A"), wanted)


def _skip_demo(probe: Probe) -> None:
    if is_demo_name(probe.member.domain):
        raise Skip(f"{probe.member.domain} is no name of the public DNS")


def judge_record(record: Record) -> Verdict:
    told = ", ".join(record.found) or "no such record"
    needed = f"{record.written} {record.kind} {record.wanted}"
    if record.found == (record.wanted,):
        return passed(told)
    if record.found and record.wanted and ip_address(record.wanted).is_private:
        address = record.found[0]
        return failed(
            told,
            needed,
            f"the host is behind NAT: set `ingress_ip: {address}` in the config if that leads to it",
        )
    fix = f"at the DNS provider, set exactly this record:\n{record.written}.  300  IN  {record.kind}  {record.wanted}"
    return failed(told, needed, fix)


def judge_ipv6(record: Record) -> Verdict:
    """k3s's pods have IPv4 alone, so nothing of the member listens on IPv6, whichever host the record leads to."""
    if not record.found:
        return passed("no AAAA record")
    return failed(
        ", ".join(record.found),
        "none: the ingress listens on IPv4 alone",
        f"take the AAAA record of {record.written} away: visitors with IPv6 follow it first, and so does Let's Encrypt",
    )


CHECKS = (
    Check("BBX-D01", "dns", "the domain leads to the host", look_domain, judge_record,
          "BinderHub answers at this name; Let's Encrypt proves it there."),
    Check("BBX-D02", "dns", "the hub's name leads to the host", look_hub, judge_record,
          "JupyterHub and the users' servers answer at hub.<domain>."),
    Check("BBX-D03", "dns", "the wildcard leads to the host", look_wildcard, judge_record,
          "Asked with a random label. Names below the domain are added over time; the wildcard covers them."),
    Check("BBX-D04", "dns", "no IPv6 record leads to where nothing listens", look_ipv6, judge_ipv6,
          "Browsers prefer IPv6 where there is a record."),
)  # fmt: skip
