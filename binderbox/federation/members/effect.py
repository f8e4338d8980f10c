"""What a change of weights does: each member's share of launches before and after, next to its share of capacity. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from binderbox.federation.members.observed import Observed
from binderbox.federation.members.status import capacities, capacity_shares
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
from binderbox.federation.redirector.rules import in_rotation, judge_members, primes, shares
from binderbox.output.report.style import columns


@dataclass(frozen=True)
class ShareRow:
    """One member. Weights are None where it is no member; shares are 0 to 1, None where not known.

    `active` is what the redirector's rules make of what it answered, None when nobody was asked.
    """

    name: str
    weight_before: float | None
    weight_after: float | None
    share_before: float
    share_after: float
    capacity_share: float | None
    quota: int | None
    active: bool | None


@dataclass(frozen=True)
class Effect:
    """`notes` say what the shares leave out."""

    members: tuple[ShareRow, ...]
    notes: tuple[str, ...]


def effect(
    before: RedirectorConfig, after: RedirectorConfig, observed: Mapping[str, Observed] | None
) -> Effect:
    """Shares of every member of either configuration; those that are out of rotation for now get none.

    `observed` None: nobody was asked. A member that only `after` has, or gives a weight, is counted as in.
    """
    names = tuple(dict.fromkeys(host.name for host in (*before.hosts, *after.hosts)))
    active, notes = _active(before, observed)
    new = {host.name for host in after.hosts if before.host(host.name) is None}
    then, more = _then(before, after, active, observed)
    notes = (*notes, *more)
    was, will = shares(before, active | new), shares(after, then | new)
    quotas = capacities(observed or {})
    parts = capacity_shares(quotas, tuple(host.name for host in in_rotation(after))) or {}
    rows = [
        ShareRow(
            name,
            _weight(before.host(name)),
            _weight(after.host(name)),
            was.get(name, 0.0),
            will.get(name, 0.0),
            parts.get(name),
            quotas.get(name),
            None if observed is None else name in active,
        )
        for name in names
    ]
    if observed is not None and not parts:
        unknown = [host.name for host in in_rotation(after) if quotas.get(host.name) is None]
        notes = (*notes, f"shares of capacity are unknown: no quota is known of {', '.join(unknown)}")
    return Effect(tuple(rows), notes)


def _active(
    config: RedirectorConfig, observed: Mapping[str, Observed] | None
) -> tuple[set[str], tuple[str, ...]]:
    everybody = {host.name for host in config.hosts}
    if observed is None:
        return everybody, ("nobody was asked: shares are as if all members were in rotation",)
    # one of weight 0 is judged as if it had a weight, or nobody would see what giving it one does
    standings = judge_members(config.weighed, {name: one.seen for name, one in observed.items()})
    active = {one.name for one in standings if one.active}
    if not active:
        return everybody, ("no member answered as it should: shares are as if all were in rotation",)
    out = [f"{one.name} ({one.reason})" for one in standings if not one.active]
    return active, (f"out of rotation now, and without a share: {', '.join(out)}",) if out else ()


def _then(
    before: RedirectorConfig,
    after: RedirectorConfig,
    active: set[str],
    observed: Mapping[str, Observed] | None,
) -> tuple[set[str], tuple[str, ...]]:
    """Who is in rotation after the change: another prime sets another reference of versions."""
    if observed is None or primes(before) == primes(after) or not primes(after):
        return active, ()
    then, _ = _active(after, observed)
    told = []
    if lost := sorted(active - then):
        told.append(f"out of rotation until they have the new prime's versions: {', '.join(lost)}")
    if back := sorted(then - active):
        told.append(f"in rotation again, because they have the new prime's versions: {', '.join(back)}")
    return then, tuple(told)


def render_effect(found: Effect) -> str:
    """A row a member, then the notes."""
    head = ("member", "weight", "share of launches", "share of capacity", "quota")
    rows = [
        (
            one.name,
            _arrow(_number(one.weight_before), _number(one.weight_after)),
            _arrow(f"{one.share_before:.1%}", f"{one.share_after:.1%}"),
            "unknown" if one.capacity_share is None else f"{one.capacity_share:.1%}",
            "unknown" if one.quota is None else str(one.quota),
        )
        for one in found.members
    ]
    return "\n".join([columns([head, *rows]), *(f"  note: {note}" for note in found.notes)])


def _weight(host: HostEntry | None) -> float | None:
    return None if host is None else host.weight


def _number(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


def _arrow(before: str, after: str) -> str:
    return before if before == after else f"{before} -> {after}"
