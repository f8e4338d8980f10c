"""Whether an authority will give certificates for this member; asked before anything changes."""

from __future__ import annotations

import json
import re
import secrets
from dataclasses import dataclass

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.dns import is_demo_name
from binderbox.checks.probe import Answer, Probe, Skip
from binderbox.parts.ingress import acme

# RFC 2606: Let's Encrypt refuses an account with one of them ("contact email has forbidden domain").
EXAMPLES = ("example.com", "example.net", "example.org")
LETSENCRYPT = "letsencrypt.org"  # its name in CAA records: letsencrypt.org/docs/caa
PROPERTY = re.compile(r'(?P<flags>\d+) (?P<tag>\w+) "?(?P<value>[^"]*)"?')
CRITICAL = 128  # RFC 8659: who does not know such a property must refuse
KNOWN = ("issue", "issuewild", "iodef", "issuemail", "issuevmc", "contactemail", "contactphone")
PATH = "/.well-known/acme-challenge"  # where an authority asks, and where a firewall of the site may look


@dataclass(frozen=True)
class Caa:
    """The CAA records that count for each name, by the name at which they stand, and how the authority is called in them."""

    records: tuple[tuple[str, str, tuple[str, ...]], ...]  # (name, where, records)
    identities: tuple[str, ...]


def look_caa(probe: Probe) -> Caa:
    _skip(probe)
    member = probe.member
    directory = acme.server(member)
    identities = _identities(probe.http(directory)) or (
        (LETSENCRYPT,) if directory in acme.SERVERS.values() else ()
    )
    found = tuple((name, *_nearest(probe, name)) for name in (member.domain, member.hub_domain))
    if not identities and any(records for _, _, records in found):
        raise Skip(f"{directory} does not say by which name CAA records mean it")
    return Caa(found, identities)


def _identities(answer: Answer) -> tuple[str, ...]:
    try:
        return tuple(json.loads(answer.body)["meta"]["caaIdentities"])
    except (ValueError, KeyError, TypeError):
        return ()


def _nearest(probe: Probe, name: str) -> tuple[str, tuple[str, ...]]:
    """RFC 8659 section 3: the records of the name, else of the next name above it that has any."""
    labels = name.split(".")
    for at in range(len(labels)):
        if records := probe.dns(".".join(labels[at:]), "CAA"):
            return ".".join(labels[at:]), records
    return "", ()


def judge_caa(found: Caa) -> Verdict:
    refused = [
        (name, where, records)
        for name, where, records in found.records
        if not _allows(records, found.identities)
    ]
    if not refused:
        stand = sorted({where for _, where, records in found.records if records})
        return passed(f"allowed by {', '.join(stand)}" if stand else "no CAA records")
    name, where, records = refused[0]
    record = f'{where}.  300  IN  CAA  0 issue "{found.identities[0]}"'
    return failed(
        f"{where} CAA {', '.join(records)}",
        f"leave for {found.identities[0]} to give {name} a certificate, proved by http-01",
        f"at the DNS provider, add this record:\n{record}",
    )


def _allows(records: tuple[str, ...], identities: tuple[str, ...]) -> bool:
    properties = [one for record in records if (one := PROPERTY.match(record))]
    if any(int(one["flags"]) & CRITICAL and one["tag"].lower() not in KNOWN for one in properties):
        return False
    issue = [one["value"] for one in properties if one["tag"].lower() == "issue"]
    return not issue or any(_issuer_allows(value, identities) for value in issue)


def _issuer_allows(value: str, identities: tuple[str, ...]) -> bool:
    issuer, *parameters = (part.strip() for part in value.split(";"))
    told = dict(part.replace(" ", "").partition("=")[::2] for part in parameters if part)
    methods = told.get("validationmethods")  # RFC 8657
    return issuer.lower() in identities and (methods is None or "http-01" in methods.lower().split(","))


def look_email(probe: Probe) -> str:
    _skip(probe)
    return acme.account_email(probe.member)


def judge_email(email: str) -> Verdict:
    domain = email.rpartition("@")[2].lower()
    if domain in EXAMPLES or is_demo_name(domain):
        return failed(
            email, "an address that can exist: authorities refuse this domain", "set `email` in the config"
        )
    return passed(email)


@dataclass(frozen=True)
class Port80:
    """What this machine got at port 80 of the name, where the host, or its ingress, has this token."""

    token: str
    answer: Answer
    ingress: bool = False


def look_port_80(probe: Probe) -> Port80:
    _skip(probe)
    member, facts = probe.member, probe.facts
    if member.proxy.http:
        raise Skip("what is asked from behind a proxy says nothing of others")
    url = f"http://{member.domain}"
    if facts.begun:  # the ingress is no listener of the host: Kubernetes leads its port to a pod
        answer = probe.http(f"{url}{layout.IDENTITY_PATH}")
        if answer.status:
            return Port80(facts.identity, answer, ingress=True)
    for one in facts.listeners:
        if (one.port, one.proto) == (member.http_port, "tcp"):
            raise Skip(f"port {member.http_port} is held by {one.owner or 'an unknown process'}")
    path, token = f"{PATH}/{secrets.token_hex(16)}", secrets.token_hex(16)
    return Port80(token, probe.port_80(f"{url}{path}", path, token))


def judge_port_80(found: Port80) -> Verdict:
    answer = found.answer
    if answer.status == 200 and answer.body.strip() == found.token:
        return passed("a token of the host came back")
    needed = "the host's own answer: authorities ask there before they give a certificate"
    if not answer.status:
        return failed(
            answer.error, needed, "open TCP port 80 to everybody, at the provider's firewall and the site's"
        )
    if found.ingress and answer.status in (301, 302, 307, 308):
        return warned(f"HTTP {answer.status}, as the ingress of an older binderbox", needed, "")
    return failed(
        f"HTTP {answer.status}: {answer.body.strip()[:60]!r}",
        needed,
        "something else answers there: look at the A record, and at what stands before the host",
    )


def _skip(probe: Probe) -> None:
    member = probe.member
    if member.tls != "acme":
        raise Skip("certificates are of the member's own authority")
    if is_demo_name(member.domain):
        raise Skip(f"{member.domain} is no name of the public DNS")


CHECKS = (
    Check("BBX-D05", "dns", "the authority may give certificates", look_caa, judge_caa,
          "CAA records of the names, or of a name above them, say who may."),
    Check("BBX-D06", "dns", "the authority takes the e-mail address", look_email, judge_email,
          "An account belongs to an address; those of examples are refused."),
    Check("BBX-D07", "dns", "port 80 of the domain leads to the host", look_port_80, judge_port_80,
          "The host answers a token there for some seconds, and this machine asks for it as an authority would."),
)  # fmt: skip
