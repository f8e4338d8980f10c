"""Drain and resume, from the connection to the result. Nothing here prints; failures are raised.

The record /etc/binderbox/drain is the truth, and is written first; the ingress's file follows from it, by the same
deploy that `install` runs. So whatever is cut off between the two is put right by either command run again.
"""

from __future__ import annotations

import json
import secrets
import shlex
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from binderbox import layout
from binderbox.commands.connect import changing, look, opened
from binderbox.commands.drained import public
from binderbox.commands.federation.redirector import active_hosts
from binderbox.commands.probe import HostProbe
from binderbox.commands.prove import Visit
from binderbox.commands.visiting import visiting
from binderbox.decide.drain import Drain, parse_record, reason_faults, render_record
from binderbox.deploys.ingress import tell_ingress
from binderbox.errors import EndpointFailed, NoAnswer, RuleBroken, Unhealthy, UsageError, WaitTimedOut
from binderbox.federation.members.public import is_prime
from binderbox.output.progress import Progress
from binderbox.output.requests import Confirm, Connection, Sources
from binderbox.output.results import DrainResult, InFlight
from binderbox.parts.binderhub.in_flight import longest_s, make_in_flight
from binderbox.parts.ingress.drained import REFUSED, drain_inputs
from binderbox.patience import patient
from binderbox.world.cluster import kubectl_json
from binderbox.world.host.hosts import Host
from binderbox.world.host.lock import client_name
from binderbox.world.pyinfra import deploying

TOLD_WITHIN_S = 15.0  # traefik gathers changes for 2 s; an ingress that is being replaced takes longer
POLL_S = 5.0
LOOKS = 2  # empty ones in a row: between a build's end and its session lie a few seconds


@dataclass(frozen=True)
class DrainRequest:
    """`federation_url` is the redirector that is asked whether the member is its prime."""

    connection: Connection
    reason: str = ""
    federation_url: str = "https://mybinder.org"
    wait: bool = False
    lock_wait_s: float = 0.0


@dataclass(frozen=True)
class ResumeRequest:
    connection: Connection
    lock_wait_s: float = 0.0


def drain(request: DrainRequest, progress: Progress, confirm: Confirm) -> DrainResult:
    """Take the member out of rotation; with `wait`, stay until nobody is on it and refuse launches from then on."""
    if faults := reason_faults(request.reason):
        raise UsageError(
            f"the reason cannot be shown: {'; '.join(faults)}", remedy="say it shorter, with --reason TEXT"
        )
    with opened(request.connection) as host:
        probe = look(host, Sources())
        _may_be_drained(probe, request, confirm)
        words = ["drain", *(["--reason", request.reason] if request.reason else [])]
        with visiting(host, probe, progress) as visit:
            with changing(host, shlex.join(words), progress, wait_s=request.lock_wait_s):
                before = _record(host)
                now = wanted(before, request.reason, client_name(), datetime.now(UTC))
                changed = _make(host, probe, now)
                status = _told(visit, now)
            left = _in_flight(host)
            if request.wait and not now.closed:
                left = _wait(visit, left)
                with changing(host, "drain --wait", progress, wait_s=request.lock_wait_s):
                    now = replace(_still(host), closed=True, key=secrets.token_hex(16))
                    host.hide(now.key)
                    changed |= _make(host, probe, now)
                    _refusing(visit)
        return DrainResult(host.name, True, changed, status, left, public(now))


def resume(request: ResumeRequest, progress: Progress) -> DrainResult:
    """Bring the member back: /health is BinderHub's own again, and launches are let in."""
    with opened(request.connection) as host:
        probe = look(host, Sources())
        with changing(host, "resume", progress, wait_s=request.lock_wait_s):
            changed = _make(host, probe, None)
            with visiting(host, probe, progress) as visit:
                status = _told(visit, None)
        return DrainResult(host.name, False, changed, status, _in_flight(host), None)


def wanted(before: Drain | None, reason: str, who: str, when: datetime) -> Drain:
    """What the record shall be: the time of the first drain stays, another reason replaces the old one."""
    if before is None or not before.since:
        return Drain(reason or "maintenance", who, when.isoformat(timespec="seconds"))
    if before.by_node:  # somebody's from now on, which the node does not take back
        return replace(before, reason=reason or before.reason, who=who, by_node=False)
    if not reason or reason == before.reason:
        return before
    return replace(before, reason=reason, who=who)


def _may_be_drained(probe: HostProbe, request: DrainRequest, confirm: Confirm) -> None:
    """Refuse the prime, and a node whose ingress does not watch the file yet."""
    name = probe.facts.name
    place = f"{layout.INGRESS_ROUTES}/routes.yml"
    if probe.files([place])[place] is None:
        raise UsageError(
            f"{name}: its ingress cannot be told to drain",
            cause=f"{place} is missing; the member was installed before `drain` existed",
            remedy=f"binderbox install {request.connection.host}",
        )
    member_url = probe.member.binder_url
    try:
        prime = is_prime(active_hosts(request.federation_url), member_url)
    except (EndpointFailed, ValueError) as error:
        why = f"{error.message}: {error.cause}" if isinstance(error, EndpointFailed) else str(error)
        question = f"Nobody can say whether {member_url} is the federation's prime, which must not be drained ({why}). Drain it all the same?"
        if not confirm(question):
            raise UsageError(
                f"{name}: not confirmed, nothing was changed",
                remedy="name the redirector with --federation URL, or say --yes",
            ) from error
        return
    if prime:
        raise RuleBroken(
            f"{name}: {member_url} is the prime of {request.federation_url}, nothing was changed",
            cause="all pages come from the prime, and every other member is compared with its versions",
            remedy="make another member the prime first, in the redirector's configuration",
        )


def _make(host: Host, probe: HostProbe, drain: Drain | None) -> bool:
    """Write or remove the record, then tell the ingress; True if anything changed."""
    if drain is None:
        there = host.read(layout.DRAIN_FILE) is not None
        host.run(["rm", "-f", layout.DRAIN_FILE], work=True)
        changed = there
    else:
        changed = host.write(layout.DRAIN_FILE, render_record(drain).encode(), 0o600)
    told = deploying.run(host, tell_ingress, drain_inputs(probe.member.domain, drain))
    host.run(["sync", layout.ETC, layout.INGRESS_ROUTES], work=True)  # both names, through a power cut
    return changed or bool(told.changed)


def _record(host: Host) -> Drain | None:
    found = host.read(layout.DRAIN_FILE)
    if found is None:
        return None
    record = parse_record(found.decode(errors="replace"))
    host.hide(record.key)
    return record


def _still(host: Host) -> Drain:
    record = _record(host)
    if record is None:
        raise UsageError(
            f"{host.name}: it was resumed meanwhile", remedy=f"binderbox drain {host.name} --wait"
        )
    return record


def _told(visit: Visit, drain: Drain | None) -> int:
    """The status of /health once it says what it shall; raises Unhealthy when it does not in time."""
    url, found = f"{visit.binder_url}/health", ""

    def says() -> int:
        nonlocal found
        response = visit.web.request("GET", url, timeout_s=5)
        found = f"HTTP {response.status_code} {response.text[:200]}"
        drained = response.status_code == 503 and '"drained"' in response.text
        return response.status_code if drained == (drain is not None) else 0

    status = _until(says)
    if isinstance(status, int) and status:
        return status
    is_drained = "is drained" if drain else "is not drained any more"
    raise Unhealthy(
        f"{visit.host.name}: the node {is_drained}, but {url} does not say so",
        cause=found or str(status),
        remedy=f"binderbox install {visit.host.name}",
    )


def _refusing(visit: Visit) -> None:
    """Ask for a launch of nothing; raises Unhealthy when it is not refused."""
    url = f"{visit.binder_url}/build/closed"
    wanted_event = json.dumps(REFUSED)
    found = _until(lambda: wanted_event in visit.web.request("GET", url, timeout_s=5).text)
    if found is not True:
        raise Unhealthy(
            f"{visit.host.name}: it is drained, but launches are still let in",
            cause=str(found or ""),
            remedy=f"binderbox install {visit.host.name}",
        )


def _until(ask: Callable[[], int | bool]) -> int | bool | NoAnswer:
    """The first answer that is not 0 or False; after TOLD_WITHIN_S the last one, or why there was none."""
    deadline = time.monotonic() + patient(TOLD_WITHIN_S)
    while True:
        try:
            last: int | bool | NoAnswer = ask()
        except NoAnswer as error:
            last = error
        if (last and not isinstance(last, NoAnswer)) or time.monotonic() > deadline:
            return last
        time.sleep(0.5)


def _in_flight(host: Host) -> InFlight:
    return make_in_flight(kubectl_json(host, "get", "pods", "-n", layout.HUB_NAMESPACE)["items"])


def _wait(visit: Visit, left: InFlight) -> InFlight:
    """Until nobody has been on the member for two looks in a row."""
    started, empty = time.monotonic(), 0
    while True:
        empty = empty + 1 if left.none else 0
        if empty >= LOOKS:
            return left
        elapsed_s = time.monotonic() - started
        told = f"{left.sessions} sessions, {left.builds} builds"
        if elapsed_s > longest_s():
            raise WaitTimedOut(
                f"{visit.host.name}: drained, but there are still {told} on it",
                cause="they came later, by links that lead straight to this member",
                remedy=f"binderbox drain {visit.host.name} --wait",
            )
        ends = f"; the last one ends by {left.ends_by}" if left.ends_by else ""
        visit.progress.waiting(f"{visit.host.name} to be empty", told + ends, elapsed_s)
        time.sleep(POLL_S)
        _still(visit.host)
        left = _in_flight(visit.host)
