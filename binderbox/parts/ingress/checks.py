"""What visitors meet first: the redirect to https, and certificates that browsers accept."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from binderbox import layout
from binderbox.checks.core import Check, Verdict, failed, passed, warned
from binderbox.checks.probe import Answer, Certificate, Probe
from binderbox.checks.workloads import AGAIN, judge_ready, look_deployments
from binderbox.decide.certificates import alert_below_days
from binderbox.decide.drain import Drain
from binderbox.parts.ingress.refusals import Refusal, last_of, parse_refusals

TRAEFIKS_OWN = "TRAEFIK DEFAULT CERT"
LOG_LINES = 400
LOGS = f"kubectl -n {layout.NAMESPACE} logs deployment/ingress on the host"


@dataclass(frozen=True)
class Redirect:
    """What the plain address answered, and where it should lead."""

    answer: Answer
    wanted: str


def look_redirect(probe: Probe) -> Redirect:
    member = probe.member
    port = "" if member.http_port == 80 else f":{member.http_port}"
    return Redirect(probe.http(f"http://{member.domain}{port}/"), f"{member.binder_url}/")


def judge_redirect(found: Redirect) -> Verdict:
    location = found.answer.headers.get("location", "")
    told = f"{found.answer.status} to {location or 'nowhere'}" if found.answer.status else found.answer.error
    if found.answer.status in (301, 302, 307, 308) and _same_place(location, found.wanted):
        return passed(told)
    return failed(told, f"a redirect to {found.wanted}", LOGS)


def _same_place(one: str, other: str) -> bool:
    """Compare addresses, the port of https being 443 whether or not it is written."""
    a, b = urlsplit(one), urlsplit(other)
    return (a.scheme, a.hostname, a.port or 443, a.path or "/") == (
        b.scheme,
        b.hostname,
        b.port or 443,
        b.path or "/",
    )


@dataclass(frozen=True)
class Shown:
    """What a public name showed, what the config says of its certificates, and what the authority said last."""

    name: str
    answer: Answer
    tls: str
    refusal: Refusal | None = None
    staging: bool = False


def look_binder(probe: Probe) -> Shown:
    return _look(probe, probe.member.domain, probe.member.binder_url)


def look_hub(probe: Probe) -> Shown:
    return _look(probe, probe.member.hub_domain, probe.member.hub_url)


def _look(probe: Probe, name: str, url: str) -> Shown:
    member, answer = probe.member, probe.http(f"{url}/")
    shown = Shown(name, answer, member.tls, staging=member.acme_server == "staging")
    if member.tls != "acme" or judge_certificate(shown).verdict == "pass":
        return shown
    log = probe.pod_log(layout.NAMESPACE, "app.kubernetes.io/name=ingress", LOG_LINES)
    return replace(shown, refusal=last_of(parse_refusals(log), name))


def judge_certificate(shown: Shown) -> Verdict:
    seen = shown.answer.certificate
    needed = f"a trusted certificate for {shown.name}"
    refusal = shown.refusal
    fix = (refusal and refusal.way_out(shown.name)) or (LOGS if shown.tls == "acme" else AGAIN)
    why = f"; the authority said at {refusal.at}: {refusal.said}" if refusal else ""
    if seen is None:
        return failed((shown.answer.error or "no certificate") + why, needed, fix if why else LOGS)
    told = f"{', '.join(seen.names) or 'no name'} by {seen.issuer}, {_left(seen)} left"
    if shown.tls == "acme" and TRAEFIKS_OWN in seen.issuer:
        told = "no certificate yet, the ingress shows one of its own"
        return failed(told + (why or ": it waits for the authority"), needed, fix)
    if not seen.trusted:
        return failed(f"{told}: {seen.error or 'not trusted'}{why}", needed, fix)
    if not any(_names(pattern, shown.name) for pattern in seen.names):
        return failed(told + why, needed, fix)
    if seen.days_left < (enough := alert_below_days(seen.life_days)):
        return warned(told + why, f"{enough:.0f} days or more, a quarter of its life", fix)
    if shown.staging:
        return warned(
            told, "an authority that browsers know", "take `acme_server: staging` out of the config"
        )
    return passed(told)


def _left(seen: Certificate) -> str:
    if seen.days_left < 2:
        return f"{seen.days_left * 24:.1f} hours"
    return f"{seen.days_left:.0f} days"


def _names(pattern: str, name: str) -> bool:
    if pattern.startswith("*."):
        return name.partition(".")[2].lower() == pattern[2:].lower()
    return pattern.lower() == name.lower()


@dataclass(frozen=True)
class Told:
    """What the node says of itself, and what /health answered."""

    drain: Drain | None
    answer: Answer


def look_drain(probe: Probe) -> Told:
    return Told(probe.facts.drain, probe.http(f"{probe.member.binder_url}/health"))


def judge_drain(told: Told) -> Verdict:
    """Only /health's own word of being drained counts here; whether BinderHub is well is another check's."""
    drained = told.answer.status == 503 and '"drained"' in told.answer.body
    if told.drain is None:
        if not drained:
            return passed("in rotation")
        return failed("/health says drained", "in rotation, as the node has it", "binderbox resume HOST")
    since = f"drained since {told.drain.since or 'some time'}: {told.drain.reason}"
    if drained:
        return passed(since)
    return failed(f"{told.answer.status or told.answer.error}", f"503, because it is {since}", AGAIN)


CHECKS = (
    Check("BBX-I01", "ingress", "the ingress is ready", look_deployments(layout.NAMESPACE, "ingress"), judge_ready,
          "traefik, on the host's own ports, so that the addresses of visitors stay visible."),
    Check("BBX-I02", "ingress", "http leads to https", look_redirect, judge_redirect,
          "Asked from this machine, as a visitor would."),
    Check("BBX-I03", "ingress", "the domain has a certificate", look_binder, judge_certificate,
          "With `tls: own-ca` it is trusted by those who have the member's own authority."),
    Check("BBX-I04", "ingress", "the hub's name has a certificate", look_hub, judge_certificate,
          "The hub and the users' servers answer there."),
    Check("BBX-I05", "ingress", "the ingress knows whether the member is drained", look_drain, judge_drain,
          "`binderbox drain` records it on the node, and the ingress answers by that record, also after a reboot."),
)  # fmt: skip
