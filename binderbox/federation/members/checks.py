"""Whether the federation's redirector would send a member launches, and whether these would succeed.

Asked by `binderbox federation check`, from outside and of any member, before it has joined too. Pure: a MemberLook in,
verdicts out. The rules themselves are in `federation.rules`.
"""

from __future__ import annotations

from collections.abc import Callable
from ipaddress import ip_address

from binderbox.checks.core import Check, Verdict, failed, passed, skipped, warned
from binderbox.checks.probe import Probe, Skip
from binderbox.decide.certificates import alert_below_days
from binderbox.federation.members.differences import differences
from binderbox.federation.members.look import MemberLook
from binderbox.federation.members.observed import Reply
from binderbox.federation.redirector import rules
from binderbox.federation.redirector.rules import QUOTA, free_places
from binderbox.output.printable import printable
from binderbox.output.results import CheckResult

SERVICES = ("Docker registry", "JupyterHub API", QUOTA)  # the public status page takes them by position
QUICK_S = 1.0  # two checks of 5 s bound each follow one another 5 times a cycle, for each of two replicas
AT_ONCE_S = 0.2  # a server needs longer to start than this: all events together mean that they were held back
SHOWS_LITTLE_S = 1.0
CORS = 'set `cors_allow_origin: "*"`: a member of binderbox has it, so look for a proxy in front of it'
LISTED_AS = "each member once, under one name"


def judge(look: MemberLook) -> tuple[CheckResult, ...]:
    """All checks, in order."""
    return tuple(_result(check, check.judge(look)) for check in CHECKS)


def _result(check: Check[MemberLook], verdict: Verdict) -> CheckResult:
    word = "warn" if verdict.verdict == "fail" and not check.fatal else verdict.verdict
    return CheckResult(
        check.id, check.category, check.claim, word, verdict.measured, verdict.needed, verdict.fix
    )


def judge_standing(look: MemberLook) -> Verdict:
    where = f"weight {look.entry.weight:g}" if look.listed else "not in the federation yet"
    if look.standing.active:
        return passed(where)
    told = f"{look.standing.reason}: {look.standing.detail}" if look.standing.detail else look.standing.reason
    return failed(printable(told), "no reason against it by the redirector's rules", "mend what fails below")


def judge_name(look: MemberLook) -> Verdict:
    if look.twins:
        return failed(
            f"{look.entry.url} is also {', '.join(look.twins)}",
            LISTED_AS,
            f"use the name {look.twins[0]}",
        )
    return passed(look.entry.name)


def judge_certificate(look: MemberLook) -> Verdict:
    needed = "a certificate that everybody trusts, for this name"
    fix = "`tls: acme` in the member's config, and ports 80 and 443 open from everywhere"
    if not look.entry.url.startswith("https://"):
        return failed(look.entry.url, "https", fix)
    if look.certificate:
        return failed(look.certificate, needed, fix)
    days_left = look.observed.days_left
    if days_left is None:
        return skipped("no answer over TLS")
    if days_left < (enough := alert_below_days(look.observed.life_days)):
        return warned(f"{days_left:.0f} days left", f"{enough:.0f} days or more, a quarter of its life", fix)
    return passed(f"{days_left:.0f} days left")


def judge_versions(look: MemberLook) -> Verdict:
    answer = look.observed.versions
    if answer.fault:
        return failed(f"/versions: {answer.fault}", "the prime's versions as JSON", f"curl -i {answer.url}")
    if look.entry.prime:
        return passed("it is the prime")
    if look.reference is None:
        return warned(
            f"the prime's are not known: {look.reference_error}", "the prime's /versions", "try again later"
        )
    told = differences(answer.body, look.reference)
    if told:
        return failed(
            printable("; ".join(told)), "equal to the prime's", "binderbox federation follow HOST --now"
        )
    return passed(f"equal to the prime's: binderhub {printable(str(answer.body.get('binderhub', '?')))}"
                  if isinstance(answer.body, dict) else "equal to the prime's")  # fmt: skip


def judge_health(look: MemberLook) -> Verdict:
    answer = look.observed.health
    sick = [printable(str(one.get("service"))) for one in _checks(answer) if not one.get("ok", True)]
    if answer.fault or sick:
        told = f"/health: {answer.fault}" if answer.fault else "/health: 200"
        return failed(
            told + (f"; not ok: {', '.join(sick)}" if sick else ""),
            "200, and every check ok",
            "binderbox check HOST",
        )
    reason, detail = rules.judge_health(answer.answer, look.config.pod_headroom)
    if reason not in ("", QUOTA):
        return failed(printable(detail), "a form that the redirector can read", f"curl -i {answer.url}")
    return passed(f"{len(_checks(answer))} checks ok")


def judge_order(look: MemberLook) -> Verdict:
    answer = look.observed.health
    if answer.body is None:
        return skipped("no answer with checks")
    found = tuple(printable(str(one.get("service"))) for one in _checks(answer))
    if found == SERVICES:
        return passed(", ".join(found))
    return failed(
        ", ".join(found) or "none",
        ", ".join(SERVICES),
        "`use_registry: true`, and no health check besides BinderHub's",
    )


def judge_places(look: MemberLook) -> Verdict:
    """A quota of at most the headroom never gets a launch; 11 is the smallest that does."""
    answer, headroom = look.observed.health, look.config.pod_headroom
    check = next((one for one in _checks(answer) if one.get("service") == QUOTA), None)
    if check is None or "quota" not in check:
        return skipped("no answer with a quota")
    quota, pods = check["quota"], check.get("total_pods")
    if quota is None:
        return warned(
            "no quota",
            f"a quota above {headroom}",
            "set `quota` in the member's config: a member without one fills up",
        )
    free = free_places(answer.body, headroom)
    told = f"{printable(str(pods))} of {printable(str(quota))} pods, {headroom} kept free"
    if free is None:
        return failed(told, "numbers", "binderbox check HOST")
    if free > 0:
        return passed(f"{free} free places: {told}")
    if isinstance(quota, int | float) and quota <= headroom:
        return failed(
            told,
            f"a quota above {headroom}: this one never gets a launch",
            "set `quota` in the member's config, 20 to start with",
        )
    return failed(told, "a free place", "wait until sessions end, or raise `quota` in the member's config")


def judge_speed(look: MemberLook) -> Verdict:
    slow = look.observed.seconds
    told = f"/versions {look.observed.versions.seconds:.2f} s, /health {look.observed.health.seconds:.2f} s"
    if look.observed.versions.status and look.observed.health.status and slow <= QUICK_S:
        return passed(told)
    return warned(
        told, f"{QUICK_S:g} s each; {look.config.check.timeout_s:g} s is the end", "binderbox status HOST"
    )


def judge_cors(look: MemberLook) -> Verdict:
    closed = [
        f"{path} allows {printable(reply.headers.get('access-control-allow-origin', 'nobody'))}"
        for path, reply in (("/health", look.observed.health), ("/versions", look.observed.versions))
        if reply.status and reply.headers.get("access-control-allow-origin") != "*"
    ]
    if not (look.observed.health.status or look.observed.versions.status):
        return skipped("no answer")
    return failed("; ".join(closed), "Access-Control-Allow-Origin: *", CORS) if closed else passed("*")


def judge_build_cors(look: MemberLook) -> Verdict:
    build = look.build
    if build is None or not build.status:
        return skipped("/build gave no answer")
    allowed = build.headers.get("access-control-allow-origin", "")
    if allowed == "*":
        return passed("*")
    return failed(f"/build allows {printable(allowed) or 'nobody'}", "Access-Control-Allow-Origin: *", CORS)


def judge_token(look: MemberLook) -> Verdict:
    build = look.build
    if build is None:
        return skipped("not asked for")
    if not build.with_token:
        return warned(
            f"the prime's page gave no token: {build.no_token_because}",
            "a token of the prime's page",
            "try again when the page answers",
        )
    if 403 in (build.status, build.refused):
        return failed(
            "403 for a token of the prime's page",
            "the federation's build-token secret",
            "ask the federation's operators for it, then: binderbox secrets set HOST build-token",
        )
    if build.status != 200 or build.first_event_s is None:
        return failed(
            f"/build: {build.error or f'HTTP {build.status}'}", "an event stream", "binderbox check HOST"
        )
    if build.refused:
        return failed(
            f"status {build.refused}: {build.failure}", "a launch that is begun", "binderbox check HOST"
        )
    return passed("taken")


def judge_launch(look: MemberLook) -> Verdict:
    build = look.build
    if build is None or not build.whole:
        return skipped("no launch was asked for")
    if build.ready_s is not None and not build.server:
        return passed(f"ready after {build.ready_s:.1f} s, and its server answers")
    told = build.server or build.failure or build.error or "the stream ended without a server"
    return failed(told, "a running notebook", "binderbox launch HOST")


def judge_stream(look: MemberLook) -> Verdict:
    build = look.build
    if build is None or not build.whole or build.first_event_s is None or build.ready_s is None:
        return skipped("only a launch that works can tell")
    apart = build.ready_s - build.first_event_s
    told = f"first event after {build.first_event_s:.1f} s, ready after {build.ready_s:.1f} s"
    if apart > AT_ONCE_S or build.ready_s < SHOWS_LITTLE_S:
        return passed(told)
    return failed(
        f"{told}: all at once",
        "each event when it happens",
        "something between buffers the answer: no buffering proxy or CDN before the member",
    )


def judge_client(look: MemberLook) -> Verdict:
    build = look.build
    if build is None or not build.client_ip:
        return skipped("only a launch that works can tell")
    told = printable(build.client_ip)
    try:
        seen = ip_address(build.client_ip)
    except ValueError:
        return failed(told, "an address", "report this bug")
    if seen.is_global or build.client_ip == build.own_ip:
        return passed(told)
    return failed(
        f"it takes {told} for the visitor",
        "the visitor's own address: limits and bans go by it",
        "no NAT and no proxy between the world and ports 80 and 443 of the host",
    )


def judge_firewall(look: MemberLook) -> Verdict:
    if look.firewall is None:
        return skipped("a host that is reached by ssh can prove it: binderbox federation check HOST")
    if bad := [one for one in look.firewall if one.verdict == "fail"]:
        return failed("; ".join(f"{one.id} {one.measured}" for one in bad), bad[0].needed, bad[0].fix)
    if any(one.verdict == "pass" for one in look.firewall):
        return passed(next(one.measured for one in look.firewall if one.verdict == "pass"))
    return skipped("; ".join(one.measured for one in look.firewall))


def _checks(reply: Reply) -> list[dict[str, object]]:
    found = reply.body.get("checks") if isinstance(reply.body, dict) else None
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _elsewhere(probe: Probe) -> MemberLook:
    raise Skip("asked by `binderbox federation check HOST`")


def _check(
    number: int, claim: str, judge: Callable[[MemberLook], Verdict], hint: str, *, fatal: bool = True
) -> Check[MemberLook]:
    return Check(f"BBX-F{number:02}", "federation", claim, _elsewhere, judge, hint, fatal)


CHECKS = (
    _check(1, "the redirector would send it launches", judge_standing,
           "By the redirector's own rules: weight, versions, health, free places."),
    _check(2, "no other member has its address", judge_name,
           "Two entries of one host would give it twice its share."),
    _check(3, "its certificate is good", judge_certificate,
           "The redirector takes a member out whose certificate it cannot verify."),
    _check(4, "its versions are the prime's", judge_versions,
           "The redirector compares the whole of /versions, as JSON values. The prime's change every few days."),
    _check(5, "it says that it is well", judge_health,
           "The redirector asks the same, up to 5 times a cycle."),
    _check(6, "its health has the three checks in order", judge_order,
           "The federation's public status page takes them by their position."),
    _check(7, "it has free places", judge_places,
           "The redirector keeps 10 places free, so that launches under way do not meet a full member."),
    _check(8, "it answers quickly", judge_speed,
           "Two replicas of the redirector ask some 80 times a minute.", fatal=False),
    _check(9, "browsers may read its health", judge_cors,
           "The public status page asks /health of each member from the visitor's browser."),
    _check(10, "browsers may read its event stream", judge_build_cors,
           "The page is the prime's, the stream the member's: to a browser these are two origins."),
    _check(11, "it takes a token of the prime's page", judge_token,
           "Launches carry a token that the prime signed. Without the same secret each is a 403, and /health shows nothing."),
    _check(12, "a launch becomes a running notebook", judge_launch,
           "Through the public address, with the prime's token, as a visitor's browser would. Its server is stopped again."),
    _check(13, "events arrive as they happen", judge_stream,
           "A proxy that holds the stream back lets visitors look at an empty log."),
    _check(14, "it sees the visitor's own address", judge_client,
           "By `binder_client_ip` of the launch. Rate limits and bans go by it."),
    _check(15, "its firewall holds", judge_firewall,
           "Tried from a build step and from a notebook's kernel, on a host that is reached by ssh."),
)  # fmt: skip
