"""What `federation plan` and `federation history` do. Nothing here prints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path

from binderbox.commands.federation.ask import Asked, ask_federation
from binderbox.commands.federation.pairs import parse_pairs
from binderbox.errors import DeployRepoError, UsageError
from binderbox.federation.deployrepo.tree import CONFIG, hosts_in
from binderbox.federation.deployrepo.weight import refuse_prime
from binderbox.federation.deployrepo.words import checked_name
from binderbox.federation.members.status import pods_and_quota
from binderbox.federation.planning.history import Changed, Entry, Version, changes
from binderbox.federation.planning.plan import FederationPlan, make_curves, make_plan
from binderbox.federation.redirector.model import Capacity
from binderbox.federation.redirector.rules import in_rotation
from binderbox.world import plots
from binderbox.world.git.clones import opened
from binderbox.world.git.history import past as past_of
from binderbox.world.http.endpoints import PUBLIC, Way

MOST_SESSIONS = 5000  # more than the whole federation has places, and still quick to reckon with
ALL = 5000  # commits of one file: more than the repository has


@dataclass(frozen=True)
class PlanRequest:
    """`quotas` and `weights` are NAME=N; `load` sessions at once; `asked` None: of today's federation nothing is asked."""

    quotas: Sequence[str]
    weights: Sequence[str]
    load: float
    session_h: float
    asked: Asked | None = None
    plot: Path | None = None


@dataclass(frozen=True)
class Planned:
    """The plan, and what is not in it."""

    plan: FederationPlan
    notes: tuple[str, ...]


def plan(request: PlanRequest, way: Way = PUBLIC) -> Planned:
    """Foretell a federation with these quotas. Raises UsageError for quotas into which the load does not fit."""
    quotas, weights = parse_pairs("--quota", request.quotas), parse_pairs("--weight", request.weights)
    if not (0 < request.load <= MOST_SESSIONS and 0.01 <= request.session_h <= 100):
        raise UsageError(
            f"--load {request.load:g} --session-h {request.session_h:g}: needed are up to {MOST_SESSIONS} sessions, and"
            " hours from 0.01 to 100",
            remedy="--load 300 --session-h 1",
        )
    if large := [name for name, quota in quotas.items() if quota > MOST_SESSIONS]:
        raise UsageError(f"--quota of {', '.join(large)}: needed is {MOST_SESSIONS} at most")
    if request.plot is not None:
        plots.checked(request.plot)
    today, notes, headroom, prime = _today(request, quotas, way)
    for name in set(quotas) - {one.name for one in today}:
        checked_name(name)
    if prime and weights.get(prime) == 0:
        refuse_prime(prime, leaving=False)
    if unknown := sorted(set(weights) - set(quotas) - {one.name for one in today}):
        raise UsageError(f"--weight names {', '.join(unknown)}, which has no quota", remedy="--quota NAME=N")
    try:
        found = make_plan(today, quotas, weights, request.load, request.session_h, headroom)
    except ValueError as error:
        raise UsageError(
            str(error), remedy="give larger quotas, a smaller --load, or weights with --weight NAME=N"
        ) from error
    if request.plot is not None:
        lines = [plots.Line(one.name, one.sessions, one.errors) for one in make_curves(found)]
        plots.draw_errors(lines, found.load, request.plot)
    return Planned(found, notes)


def _today(
    request: PlanRequest, quotas: Mapping[str, int], way: Way
) -> tuple[list[Capacity], tuple[str, ...], int, str]:
    """(members with places that are known or given, what is left out, headroom, the prime's name if it is known)."""
    if request.asked is None:
        return [], (), 10, ""
    found = ask_federation(request.asked, way)
    today, left_out = [], []
    for one in in_rotation(found.config):
        health = found.observed[one.name].health
        pods, quota = pods_and_quota(health)
        if pods is None and one.name not in quotas:
            left_out.append(one.name)
        else:
            today.append(
                Capacity(one.name, one.weight, quota if pods is not None else quotas[one.name], pods or 0)
            )
    left_out += [name for name in found.out or () if name not in quotas]
    notes = (f"not in it, because their places are not known: {', '.join(left_out)}",) if left_out else ()
    prime = next((one.name for one in found.config.hosts if one.prime), "")
    return today, (*found.notes, *notes), found.config.pod_headroom, prime


def history(source: str, since: str, plot: Path | None) -> tuple[Changed, ...]:
    """Every change of the members in the repository's own log, the oldest first. Raises DeployRepoError."""
    if since:
        _checked_day(since)
    if plot is not None:
        plots.checked(plot)
    with opened(source, whole=True) as checkout:
        past = list(past_of(checkout, CONFIG, ALL))
    if not past:
        raise DeployRepoError(
            f"{source} has no history of {CONFIG}",
            cause="a shallow clone has only its last commit",
            remedy=f"git -C {source} fetch --unshallow",
        )
    versions = [
        Version(one.commit, one.time_s, one.date, members)
        for one in reversed(past)
        if (members := _members(one.content)) is not None and one.date >= since
    ]
    found = changes(versions)
    if plot is not None and not found:
        raise UsageError(f"no change of the members since {since}: there is nothing to draw")
    if plot is not None:
        plots.draw_weights([_moment(one.version) for one in found], plot)
    return found


def _checked_day(since: str) -> None:
    try:
        if date.fromisoformat(since).isoformat() == since:
            return
    except ValueError:
        pass
    raise UsageError(f"--since {since}: needed is a day", remedy="--since 2025-01-31")


def _moment(version: Version) -> plots.Moment:
    weights = {name: one.weight for name, one in version.members.items()}
    return plots.Moment(version.time_s, weights, [name for name, one in version.members.items() if one.prime])


def _weight(value: object) -> float:
    """Also of a number that somebody wrote as a text; 0 for what is none."""
    try:
        number = float(value) if isinstance(value, (int, float, str)) else 0.0
    except (ValueError, OverflowError):
        return 0.0
    return number if 0 <= number < 1e9 else 0.0


def _members(content: bytes) -> Mapping[str, Entry] | None:
    """The members of some version of the file; None where there were none yet, or nothing can be read."""
    hosts = hosts_in(content)
    if hosts is None:
        return None
    return {
        name: Entry(_weight(entry.get("weight", 0)), bool(entry.get("prime")))
        for name, entry in hosts.items()
    }
