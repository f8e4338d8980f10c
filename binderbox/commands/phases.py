"""What an install is, in order. Reading INSTALL is reading the product.

A phase has a deploy with its typed inputs from the plan, sometimes a step that a deploy cannot be (one that needs
what the deploy has just started), and the category of checks that prove it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox.checks.core import failures, prove
from binderbox.commands.other_firewalls import gone
from binderbox.commands.probe import HostProbe
from binderbox.commands.reached import still_reached
from binderbox.commands.resolving import resolver_is_current
from binderbox.commands.settling import k3s_runs
from binderbox.commands.storing import bucket_is_ours
from binderbox.commands.watching import builds_or_fetches, fetches, files_left, packages_of_others, watched
from binderbox.deploys.agent import install_agent
from binderbox.deploys.builder import install_builder
from binderbox.deploys.guard import install_guard
from binderbox.deploys.helm import install_chart, install_store
from binderbox.deploys.host import prepare_host
from binderbox.deploys.k3s import install_k3s
from binderbox.deploys.uninstall import remove_files, stop_pods, stop_services
from binderbox.errors import BinderboxError, WaitTimedOut
from binderbox.output.progress import Progress
from binderbox.output.results import CheckResult, PhaseResult
from binderbox.parts import checks
from binderbox.patience import patient
from binderbox.plan import Plan
from binderbox.world.host.hosts import Host
from binderbox.world.pyinfra import deploying
from binderbox.world.pyinfra.deploying import DeployResult

After = Callable[[Host, Plan, bool], tuple[str, ...]]
"""Does (or, when the last argument is true, only tells) what must follow a deploy; the names of its changes."""


@dataclass(frozen=True)
class Phase:
    """One phase; `proof` is the category of checks that must hold `within_s` seconds after it, or, where it does not
    wait, after the next phase that does: its pods start meanwhile.

    `watch` says, while a deploy takes long, what it waits for or how much is left; "" for nothing. `settle` waits for
    what the deploy has only begun.
    """

    title: str
    deploy: Callable[..., Any]
    inputs: Callable[[Any], Any]
    proof: str = ""
    after: After | None = None
    within_s: float = 180
    watch: Callable[[Host], str] | None = None
    settle: Callable[[Host, Progress], None] | None = None
    waits: bool = True


INSTALL = (
    Phase(
        "Prepare the host",
        prepare_host,
        inputs=lambda plan: plan.host,
        proof="prepared",
        after=lambda host, plan, dry: gone(host, plan, dry) + still_reached(host, plan, dry),
        watch=packages_of_others,
    ),
    Phase(
        "Start k3s",
        install_k3s,
        inputs=lambda plan: plan.k3s,
        proof="k3s",
        after=resolver_is_current,
        within_s=300,
        watch=fetches,
        settle=k3s_runs,
    ),
    Phase(
        "Install the object store",
        install_store,
        inputs=lambda plan: plan.objectstore,
        proof="objectstore",
        watch=fetches,
        after=bucket_is_ours,
    ),
    # From here to the builder nothing waits for pods: they start while the builder is laid out.
    Phase(
        "Install the registry",
        install_chart,
        inputs=lambda plan: plan.registry,
        proof="registry",
        watch=fetches,
        waits=False,
    ),
    Phase(
        "Install the ingress",
        install_chart,
        inputs=lambda plan: plan.ingress,
        proof="ingress",
        watch=fetches,
        waits=False,
    ),
    Phase(
        "Install BinderHub",
        install_chart,
        inputs=lambda plan: plan.binderhub,
        proof="binderhub",
        within_s=300,
        watch=fetches,
        waits=False,
    ),
    Phase(
        "Start the builder",
        install_builder,
        inputs=lambda plan: plan.builder,
        proof="builder",
        watch=builds_or_fetches,
    ),
    Phase("Install the agent", install_agent, inputs=lambda plan: plan.agent, proof="agent"),
    # Its detectors compile for a minute, and may not be had at all: launches go on, and `check` says so.
    Phase("Install the guard", install_guard, inputs=lambda plan: plan.guard, watch=fetches),
)

# Its inputs are not a plan but whether data goes too: a half-made install may not even have a config.
UNINSTALL = (
    Phase("Stop services", stop_services, inputs=lambda purge: purge),
    Phase("Stop pods", stop_pods, inputs=lambda purge: purge),
    Phase("Remove files", remove_files, inputs=lambda purge: purge, watch=files_left),
)


@dataclass(frozen=True)
class Outcome:
    """All phases' results, the names of operations that changed (or would), their diffs, and the checks."""

    phases: tuple[PhaseResult, ...] = ()
    changed: tuple[str, ...] = ()
    diffs: tuple[str, ...] = ()
    checks: tuple[CheckResult, ...] = ()


def run(
    phases: Iterable[Phase],
    host: Host,
    plan: Any,
    probe: HostProbe | None,
    progress: Progress,
    on_step: Callable[[str], None],
) -> Outcome:
    """Carry out the phases, each proved before the next that needs it; raises what the failing phase raised."""
    outcome, unproved = Outcome(), list[Phase]()
    for phase in phases:
        on_step(phase.title)
        progress.phase_started(phase.title)
        started = time.monotonic()
        try:
            with watched(phase.title, phase.watch, host, progress):
                done = deploying.run(host, phase.deploy, phase.inputs(plan))
            if phase.settle:
                phase.settle(host, progress)
            after = phase.after(host, plan, False) if phase.after else ()
            unproved += [phase] if phase.proof else []
            proven = tuple[CheckResult, ...]()
            if probe and phase.waits and unproved:
                proven, unproved = _proven(phase.title, unproved, host, probe, progress), []
        except BinderboxError:
            progress.phase_failed(phase.title, time.monotonic() - started)
            raise
        outcome = _joined(outcome, phase, done, after, time.monotonic() - started, proven)
        progress.phase_done(
            phase.title, time.monotonic() - started, len(done.changed) + len(after), done.unchanged
        )
    return outcome


def preview(phases: Iterable[Phase], host: Host, plan: Plan, progress: Progress) -> Outcome:
    """What `run` would do, found out without changing anything."""
    outcome = Outcome()
    for phase in phases:
        progress.phase_started(phase.title)
        started = time.monotonic()
        would = deploying.run(host, phase.deploy, phase.inputs(plan), dry=True)
        after = phase.after(host, plan, True) if phase.after else ()
        outcome = _joined(outcome, phase, would, after, time.monotonic() - started, ())
        progress.phase_done(
            phase.title, time.monotonic() - started, len(would.changed) + len(after), would.unchanged
        )
    return outcome


def _proven(
    title: str, phases: Sequence[Phase], host: Host, probe: HostProbe, progress: Progress
) -> tuple[CheckResult, ...]:
    within_s = patient(sum(phase.within_s for phase in phases))
    results = prove(checks.of(*(phase.proof for phase in phases)), probe, progress, within_s=within_s)
    if failing := failures(results):
        raise WaitTimedOut(
            f"{host.name}: {title}: {'; '.join(f'{one.claim}: no, {one.measured}' for one in failing)}",
            cause=probe.why(failing[0].category),
            remedy=failing[0].fix or f"binderbox install {host.name}",
        )
    return results


def _joined(
    outcome: Outcome,
    phase: Phase,
    done: DeployResult,
    after: tuple[str, ...],
    seconds: float,
    proven: tuple[CheckResult, ...],
) -> Outcome:
    changed = (*done.changed, *after)
    result = PhaseResult(phase.title, round(seconds, 2), len(changed), done.unchanged)
    return Outcome(
        (*outcome.phases, result),
        (*outcome.changed, *changed),
        (*outcome.diffs, *done.diffs),
        (*outcome.checks, *proven),
    )
