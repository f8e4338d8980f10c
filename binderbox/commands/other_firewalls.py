"""`install --yes-firewall`: another firewall goes by the very lines that its check names, where somebody has said so."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from binderbox.checks.traps import judge_filters
from binderbox.decide.facts import make_facts
from binderbox.errors import StepFailed
from binderbox.output.results import CheckResult
from binderbox.parts.host.checks import OTHER_FIREWALLS
from binderbox.plan import Plan
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host


def tolerated(found: Iterable[CheckResult], lines: tuple[str, ...]) -> tuple[CheckResult, ...]:
    """The results of a preflight in which what these lines take away is no failure."""
    return tuple(
        replace(one, verdict="warn", fix=f"install does it: {'; '.join(lines)}")
        if lines and one.id == OTHER_FIREWALLS
        else one
        for one in found
    )


def mended(found: Iterable[CheckResult], lines: tuple[str, ...]) -> tuple[CheckResult, ...]:
    """The same results once the lines were carried out, and `gone` has looked."""
    return tuple(
        replace(one, verdict="pass", measured=f"none, after {'; '.join(lines)}", needed="", fix="")
        if lines and one.id == OTHER_FIREWALLS
        else one
        for one in found
    )


def gone(host: Host, plan: Plan, dry: bool) -> tuple[str, ...]:
    """Look again where a firewall was switched off; raises StepFailed if one still drops."""
    if plan.host.switch_off and not dry:
        facts = make_facts(gather(host))
        if facts.filters:
            verdict = judge_filters(facts)
            raise StepFailed(
                f"{host.name}: another firewall is still on: {verdict.measured}",
                cause=f"carried out: {'; '.join(plan.host.switch_off)}",
                remedy=f"{verdict.fix}\nthen run `binderbox install {host.name}` again",
            )
    return ()
