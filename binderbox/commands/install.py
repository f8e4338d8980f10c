"""From a bare host to a proven member: connect, look, check, plan, carry out the phases, prove."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from binderbox.checks.core import AT_ONCE, failures, run_checks
from binderbox.checks.traps import switch_off_lines
from binderbox.commands.artifacts.trusting import in_short, lifted, to_fetch, told_of, vouched
from binderbox.commands.connect import changing, config_diff, look, opened, planned, probe_of
from binderbox.commands.other_firewalls import mended, tolerated
from binderbox.commands.phases import INSTALL, run
from binderbox.commands.probe import HostProbe
from binderbox.commands.prove import prove
from binderbox.commands.renewing import renewed_in_time
from binderbox.commands.visiting import visiting
from binderbox.deploys.travelling import libraries
from binderbox.errors import (
    LaunchFailed,
    PreflightError,
    UsageError,
)
from binderbox.output.progress import Progress
from binderbox.output.requests import (
    Confirm,
    InstallRequest,
)
from binderbox.output.results import (
    InstallResult,
    PhaseResult,
    Proof,
)
from binderbox.parts import checks
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host
from binderbox.world.host.lock import audit

PROOF = "Prove it"


def install(request: InstallRequest, progress: Progress, confirm: Confirm) -> InstallResult:
    """From a bare host to a running notebook; run again, it continues or finds nothing to do."""
    libraries()  # what is wrong with them is said before anything is changed
    with opened(request.connection, request.sources) as host:
        progress.phase_started("Check")
        started = time.monotonic()
        probe = look(host, request.sources)
        lines = switch_off_lines(probe.facts.filters) if request.yes_firewall else ()
        found = tolerated(run_checks(checks.of(*checks.PREFLIGHT), probe, at_once=AT_ONCE), lines)
        if failing := failures(found):
            progress.phase_failed("Check", time.monotonic() - started)
            raise PreflightError(
                f"{host.name}: {len(failing)} of {len(found)} checks failed, nothing was changed",
                checks=found,
                remedy=f"mend these, then run `binderbox install {request.connection.host}` again",
            )
        for warning in (one for one in found if one.verdict == "warn"):
            progress.note(f"{warning.id} {warning.claim}: {warning.measured}. {warning.fix}")
        checked = PhaseResult("Check", round(time.monotonic() - started, 2), 0, len(found))
        progress.phase_done("Check", checked.seconds, 0, len(found))
        if difference := config_diff(probe.facts, probe.member_text):
            progress.note(f"the config differs from the applied one:\n{difference}")
        stated = vouched(
            host, probe, request.sources, require_pins=request.require_pins, accepted=request.accepted
        )
        probe = probe_of(host, probe.facts, request.sources, stated)
        told = [*told_of(probe.artifacts, stated), *lifted(probe.member)]
        if size := to_fetch(probe, stated):
            told.append(size)
        for line in told:
            progress.note(line)
        and_off = f", and switch its other firewall off ({'; '.join(lines)})" if lines else ""
        asides = [one for one in (in_short(probe.artifacts, stated), size) if one]
        from_where = f" ({'; '.join(asides)})" if asides else ""
        if not confirm(f"Set up {host.name} as {probe.member.binder_url}{and_off}{from_where}?"):
            raise UsageError(
                f"{host.name}: not confirmed, nothing was changed", remedy="say --yes to go on without asking"
            )
        with changing(host, "install", progress, wait_s=request.lock_wait_s) as lock:
            seen = look(host, request.sources, stated)
            probe, decided = planned(seen, request.sources, stated, switch_off=lines)
            if decided.host.switch_off:
                audit(host, "switch-off", "install", lines="; ".join(decided.host.switch_off))
            outcome = run(INSTALL, host, decided, probe, progress, lock.step)
            probe, renewal = renewed_in_time(host, probe, decided, progress, lock.step)
            proof, proved = _prove(host, probe, decided, progress, lock.step)
        return InstallResult(
            host=host.name,
            url=probe.member.binder_url,
            phases=(checked, *outcome.phases, *renewal.phases, proved),
            changed=(*outcome.changed, *renewal.changed),
            launches=(proof.cold, proof.warm),
            checks=(*mended(found, lines), *outcome.checks),
        )


def _prove(
    host: Host, probe: HostProbe, decided: Plan, progress: Progress, on_step: Callable[[str], None]
) -> tuple[Proof, PhaseResult]:
    on_step(PROOF)
    progress.phase_started(PROOF)
    started = time.monotonic()
    with visiting(host, probe, progress) as visit:
        proof = prove(visit, decided.sample_base)
    if failing := failures(run_checks(checks.of("launch"), replace(probe, launch=proof))):
        progress.phase_failed(PROOF, time.monotonic() - started)
        raise LaunchFailed(
            f"{host.name}: a notebook started, but the member is not right",
            cause="\n".join(f"{one.id} {one.claim}: no, {one.measured}" for one in failing),
            remedy=f"binderbox check {host.name}",
        )
    result = PhaseResult(PROOF, round(time.monotonic() - started, 2), 0, 2)
    progress.phase_done(PROOF, result.seconds, 0, 2)
    return proof, result
