"""What each command does, from the connection to the result. Nothing here prints; failures are raised.

connect -> gather -> parse the config -> check -> plan -> phases -> prove
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace

from binderbox import layout
from binderbox.checks.core import failures, run_checks
from binderbox.commands.connect import changing, config_diff, look, opened, planned, visiting
from binderbox.commands.phases import INSTALL, UNINSTALL, preview, run
from binderbox.commands.probe import HostProbe
from binderbox.commands.prove import launch as launch_repository
from binderbox.commands.prove import launch_sample, prove
from binderbox.commands.state import state_of
from binderbox.decide.facts import make_facts
from binderbox.errors import (
    LaunchFailed,
    PreflightError,
    UsageError,
)
from binderbox.output.progress import Progress
from binderbox.output.results import (
    CheckReport,
    CheckRequest,
    Confirm,
    Connection,
    InstallRequest,
    InstallResult,
    LaunchRequest,
    LaunchResult,
    PhaseResult,
    PlanRequest,
    PlanResult,
    Proof,
    Secret,
    SecretRequest,
    SecretsResult,
    Sources,
    StatusRequest,
    StatusResult,
    UninstallRequest,
    UninstallResult,
)
from binderbox.parts import checks
from binderbox.parts.secrets import kinds as secrets
from binderbox.plan import Plan
from binderbox.world.host.gather import gather
from binderbox.world.host.hosts import Host
from binderbox.world.host.leftovers import kept_paths, leftovers, remove_lock

PROOF = "Prove it"


def check_host(request: CheckRequest, progress: Progress) -> CheckReport:
    """Everything that can be said before an install, and of an installed host also whether its parts are well."""
    with opened(request.connection, request.sources) as host:
        probe = look(host, request.sources)
        found = run_checks(checks.of("host", "dns"), probe)
        if probe.facts.applied:
            probe, _ = planned(probe, request.sources)
            found += run_checks(checks.of(*(phase.proof for phase in INSTALL)), probe)
        return CheckReport(host.name, found)


def plan_host(request: PlanRequest, progress: Progress) -> PlanResult:
    """What an install would change; touches nothing."""
    with opened(request.connection, request.sources) as host:
        probe, decided = planned(look(host, request.sources), request.sources)
        outcome = preview(INSTALL, host, decided, progress)
        return PlanResult(
            host=host.name,
            values=decided.values,
            phases=outcome.phases,
            changed=outcome.changed,
            diffs=outcome.diffs,
            config_diff=config_diff(probe.facts, decided.member_text),
        )


def install(request: InstallRequest, progress: Progress, confirm: Confirm) -> InstallResult:
    """From a bare host to a running notebook; run again, it continues or finds nothing to do."""
    with opened(request.connection, request.sources) as host:
        progress.phase_started("Check")
        started = time.monotonic()
        probe = look(host, request.sources)
        found = run_checks(checks.of("host", "dns"), probe)
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
        if not confirm(f"Set up {host.name} as {probe.member.binder_url}?"):
            raise UsageError(
                f"{host.name}: not confirmed, nothing was changed", remedy="say --yes to go on without asking"
            )
        with changing(host, "install", progress, wait_s=request.lock_wait_s) as lock:
            probe, decided = planned(look(host, request.sources), request.sources)
            outcome = run(INSTALL, host, decided, probe, progress, lock.step)
            proof, proved = _prove(host, probe, decided, progress, lock.step)
        return InstallResult(
            host=host.name,
            url=probe.member.binder_url,
            phases=(checked, *outcome.phases, proved),
            changed=outcome.changed,
            launches=(proof.cold, proof.warm),
            checks=(*found, *outcome.checks),
        )


def launch(request: LaunchRequest, progress: Progress) -> LaunchResult:
    """Launch a repository, or the sample, and wait until its notebook answers."""
    with opened(request.connection) as host:
        probe, decided = planned(look(host, Sources()), Sources())
        with visiting(host, probe, progress) as visit:
            if request.url is None:
                return launch_sample(visit, decided.sample_base)
            try:
                return launch_repository(visit, request.url, request.ref)[1]
            except ValueError as error:
                raise UsageError(
                    str(error), remedy=f"binderbox launch {request.connection.host} URL --ref REF"
                ) from error


def status(request: StatusRequest, progress: Progress) -> StatusResult:
    """One screen: what is installed, whether it is well, how full it is."""
    with opened(request.connection) as host:
        facts = make_facts(gather(host))
        if facts.applied is None:
            return StatusResult(host.name, "absent")
        probe, _ = planned(look(host, Sources()), Sources())
        found = run_checks(checks.of(*(phase.proof for phase in INSTALL)), probe)
        parts, gauges = state_of(probe)
        well = not failures(found) and all(part.ok for part in parts)
        return StatusResult(
            host=host.name,
            verdict="healthy" if well else "degraded",
            url=probe.member.binder_url,
            applied=f"{facts.applied.when} by {facts.applied.who}",
            parts=parts,
            gauges=gauges,
            checks=found,
            drain=facts.drain,
        )


def uninstall(request: UninstallRequest, progress: Progress, confirm: Confirm) -> UninstallResult:
    """Take everything away that binderbox made; data, secrets and the config stay unless `purge`."""
    with opened(request.connection) as host:
        what = (
            "everything, with all data and secrets," if request.purge else "everything but data and secrets"
        )
        if not confirm(f"Remove {what} from {host.name}?"):
            raise UsageError(
                f"{host.name}: not confirmed, nothing was changed", remedy="say --yes to go on without asking"
            )
        with changing(
            host, "uninstall", progress, wait_s=request.lock_wait_s, audited=not request.purge
        ) as lock:
            outcome = run(UNINSTALL, host, request.purge, None, progress, lock.step)
        remove_lock(host)
        left = leftovers(host, request.purge)
        kept = () if request.purge else kept_paths(host)
        return UninstallResult(host.name, outcome.changed, kept, left, outcome.phases)


def set_secret(request: SecretRequest, progress: Progress) -> SecretsResult:
    """Keep a secret that an operator gives; the next install puts it to use."""
    if request.name not in secrets.GIVEN:
        raise UsageError(
            f"{request.name} is not a secret that is given",
            cause=f"these are: {', '.join(secrets.GIVEN)}",
            remedy=f"binderbox secrets list {request.connection.host}",
        )
    with opened(request.connection) as host, changing(host, f"secrets set {request.name}", progress):
        changed = host.write(f"{layout.SECRETS}/{request.name}", request.value.strip(), 0o600)
        return SecretsResult(host.name, _secrets(host), (request.name,) if changed else ())


def list_secrets(connection: Connection, progress: Progress) -> SecretsResult:
    """Which secrets the host holds; never their values."""
    with opened(connection) as host:
        return SecretsResult(host.name, _secrets(host))


def _secrets(host: Host) -> tuple[Secret, ...]:
    present = make_facts(gather(host)).secrets
    return tuple(
        Secret(kind.name, "generated" if kind.made else "given", kind.name in present, kind.purpose)
        for kind in secrets.KINDS
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
