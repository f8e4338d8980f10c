"""The federation's results as text for people. Pure."""

from __future__ import annotations

from binderbox.federation.members.look import MemberCheck
from binderbox.federation.members.ramp import Ramp
from binderbox.federation.members.status import FederationStatus, MemberRow
from binderbox.output.report.checks import render_checks
from binderbox.output.report.style import PLAIN, Style, columns, indented
from binderbox.output.results import CheckReport


def render_status(status: FederationStatus, style: Style = PLAIN) -> str:
    """A row a member, then why those are out that are, then what else is worth reading."""
    head = ("", "member", "weight", "share", "capacity", "free", "pods", "versions", "certificate")
    table = columns([head, *(_row(one) for one in status.members)]).splitlines()
    blocks = ["\n".join([style.bold(table[0]), *table[1:]])]
    out = [one for one in status.members if not one.active]
    if out:
        blocks.append("\n".join(f"{one.name} is {style.paint('out', 'fail')}: {_why(one)}" for one in out))
    blocks += [f"{style.paint('FAIL', 'fail')} the redirector would stop: {fault}" for fault in status.faults]
    if status.nobody:
        blocks.append(f"{style.paint('FAIL', 'fail')} no member gets launches")
    blocks += [f"{style.paint('FAIL', 'fail')} the redirector has {odd}" for odd in status.odd]
    blocks += [f"{style.paint('warn', 'warn')} {doubt}" for doubt in status.doubts]
    blocks += [f"note: {note}" for note in status.notes]
    active = sum(one.active for one in status.members)
    blocks.append(f"{status.source}: {active} of {len(status.members)} members get launches")
    return "\n\n".join(blocks)


def _row(one: MemberRow) -> tuple[str, ...]:
    pods = "" if one.pods is None else f"{one.pods} of {'no quota' if one.quota is None else one.quota}"
    free = "" if one.pods is None else ("no limit" if one.free is None else str(one.free))
    return (
        "in" if one.active else "out",
        f"{one.name} (prime)" if one.prime else one.name,
        "?" if one.weight is None else f"{one.weight:g}",
        f"{one.share:.1%}",
        "?" if one.capacity_share is None else f"{one.capacity_share:.1%}",
        free or "?",
        pods or "?",
        one.versions if one.versions in ("prime", "equal", "not known") else "differ",
        "?" if one.certificate_days is None else f"{one.certificate_days:.0f} days",
    )


def _why(one: MemberRow) -> str:
    return f"{one.reason}: {one.detail}" if one.detail else one.reason


def render_check(check: MemberCheck, style: Style = PLAIN) -> str:
    """The checks, and the answer as the last line."""
    gets = "would get launches" if check.receives else f"would get no launches ({check.standing.reason})"
    bad = sum(one.verdict == "fail" for one in check.checks)
    if check.ready:
        last = f"{check.name}: {style.paint('ready', 'pass')}: it {gets}, and one worked"
    elif bad:
        last = f"{check.name}: {style.paint('not ready', 'fail')}: it {gets}; {bad} of {len(check.checks)} checks fail"
    else:
        last = f"{check.name}: it {gets}; that launches succeed was not proved"
    return "\n".join([render_checks(CheckReport(check.name, check.checks), style), last])


def render_ramp(ramp: Ramp, style: Style = PLAIN) -> str:
    """What was measured, and the step that is due or why none is."""
    lines = [indented("\n".join(ramp.measured), "  ")]
    if ramp.done:
        last = f"the last step, {ramp.steps[-1]:g}, is reached"
        above = f"weight {ramp.weight:g} is above the last step, {ramp.steps[-1]:g}"
        lines.append(f"{ramp.name}: {last if ramp.weight == ramp.steps[-1] else above}")
    elif ramp.due is not None:
        lines.append(f"{ramp.name}: weight {style.paint(f'{ramp.due:g}', 'ok')} is due")
    else:
        lines += [f"{ramp.name}: not yet", indented("\n".join(ramp.why_not), "  ")]
    return "\n".join(lines)
