"""The federation on one screen: every member, whether it gets launches or why not, its share, its room. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from binderbox.decide import urls
from binderbox.federation.members.differences import differences
from binderbox.federation.members.observed import Observed, Reply
from binderbox.federation.members.public import Active
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.federation.redirector.rules import (
    QUOTA,
    UNKNOWN,
    WEIGHT,
    Standing,
    free_places,
    in_rotation,
    judge_member,
    shares,
    start_doubts,
    start_faults,
)
from binderbox.output.printable import printable


@dataclass(frozen=True)
class Federation:
    """What was asked, and what came: `listed` is what /active_hosts said, None when it was not asked or failed.

    `out` are members that the redirector's metrics know and that are not active, with its word for why. `prime` is the
    /versions that the redirector passes on from the prime, None when it was not asked. `configured`: the members are those
    of a deployment repository, not only those that the redirector names as active. `notes` say what is missing.
    """

    source: str
    config: RedirectorConfig
    observed: Mapping[str, Observed]
    listed: Active | None = None
    out: Mapping[str, str] | None = None
    prime: Reply | None = None
    configured: bool = False
    notes: tuple[str, ...] = ()

    @property
    def active(self) -> frozenset[str] | None:
        """Names of the members that get launches by the redirector's own word."""
        return None if self.listed is None else self.listed.names

    @property
    def deployed(self) -> dict[str, float] | None:
        """The weights that the redirector uses, of active members only."""
        return None if self.listed is None else {one.name: one.weight for one in self.listed.config.hosts}

    def elsewhere(self, name: str) -> str:
        """Another address that the redirector has for a member than the configuration, "" for the same or none."""
        ours = self.config.host(name)
        theirs = self.listed.config.host(name) if self.listed else None
        if ours is None or theirs is None or urls.place(ours.url) == urls.place(theirs.url):
            return ""
        return theirs.url


@dataclass(frozen=True)
class MemberRow:
    """One member. Shares are 0 to 1; None stands for "not known".

    `redirector` is what the redirector itself says; `active` is its word too, where it has given one, else what the rules
    make of what was just seen.
    """

    name: str
    url: str
    prime: bool
    weight: float | None
    active: bool
    redirector: bool | None
    reason: str
    detail: str
    share: float
    capacity_share: float | None
    quota: int | None
    pods: int | None
    free: int | None
    versions: str
    certificate_days: float | None
    seconds: float | None


@dataclass(frozen=True)
class FederationStatus:
    """`faults` would stop the redirector, `odd` are entries that it runs with and that harm, `doubts` and `notes` are worth
    reading."""

    source: str
    members: tuple[MemberRow, ...]
    faults: tuple[str, ...]
    doubts: tuple[str, ...]
    notes: tuple[str, ...]
    odd: tuple[str, ...] = ()

    @property
    def well(self) -> bool:
        """Every member that has a weight gets launches and is well itself, and nothing would stop the redirector."""
        return not (self.faults or self.odd or self.nobody) and all(
            (one.active and not one.reason) or one.weight == 0 for one in self.members
        )

    @property
    def nobody(self) -> bool:
        """No member gets launches."""
        return not any(one.active for one in self.members)


def reference_of(found: Federation) -> object | None:
    """The prime's versions: as it answers itself, else as the redirector passes them on. None: not known."""
    for one in reversed([one for one in in_rotation(found.config) if one.prime]):
        seen = found.observed.get(one.name)
        if seen is not None and seen.versions.answer.usable:
            return seen.versions.body  # type: ignore[no-any-return]
    if found.prime is not None and found.prime.answer.usable:
        return found.prime.body  # type: ignore[no-any-return]
    return None


def pods_and_quota(reply: Reply) -> tuple[int | None, int | None]:
    """(pods, quota) of a /health; None for what it does not say as a whole number."""
    checks = reply.body.get("checks") if isinstance(reply.body, dict) else None
    for check in checks if isinstance(checks, list) else []:
        if isinstance(check, dict) and check.get("service") == QUOTA:
            pods, quota = check.get("total_pods"), check.get("quota")
            if quota is not None and _whole(quota) is None:
                return None, None  # no number is not the same as no limit
            return _whole(pods), _whole(quota)
    return None, None


def capacities(observed: Mapping[str, Observed]) -> dict[str, int | None]:
    """The quota of each member that was asked; None where it told none."""
    return {name: pods_and_quota(one.health)[1] for name, one in observed.items()}


def capacity_shares(quotas: Mapping[str, int | None], names: tuple[str, ...]) -> dict[str, float] | None:
    """Each one's part of all places; None unless all quotas are known, because a part of an unknown sum is none."""
    known = {name: quota for name in names if (quota := quotas.get(name)) is not None}
    total = sum(known.values())
    return (
        {name: quota / total for name, quota in known.items()} if total and len(known) == len(names) else None
    )


def make_status(found: Federation) -> FederationStatus:
    reference = reference_of(found)
    standings = {
        one.name: judge_member(
            one, seen.seen if (seen := found.observed.get(one.name)) else None, reference, found.config
        )
        for one in found.config.hosts
    }
    active = {name: _gets_launches(found, one) for name, one in standings.items()}
    expected = shares(found.config, [name for name in active if active[name]])
    kept = tuple(one.name for one in in_rotation(found.config))
    parts = capacity_shares(capacities(found.observed), kept) or {}
    rows = [
        _row(
            found,
            standings[one.name],
            active[one.name],
            expected.get(one.name, 0.0),
            parts.get(one.name),
            reference,
        )
        for one in found.config.hosts
    ]
    unknown = [
        MemberRow(name, "", False, None, False, False, why, "only its name is public while it is out", 0.0,
                  None, None, None, None, "not known", None, None)
        for name, why in (found.out or {}).items()
        if name not in standings
    ]  # fmt: skip
    return FederationStatus(
        found.source,
        (*rows, *unknown),
        _faults(found),
        start_doubts(found.config),
        (*found.notes, *_unseen_prime(found), *_disagreements(found, standings)),
        found.listed.odd if found.listed else (),
    )


def _gets_launches(found: Federation, standing: Standing) -> bool:
    """By the redirector's own word; a weight of 0 that is not deployed yet is no word about this configuration."""
    if found.active is None or standing.reason == WEIGHT:
        return standing.active
    return standing.name in found.active


def _faults(found: Federation) -> tuple[str, ...]:
    """What would stop the redirector at a start: of a configuration only, since its answers leave out who is out."""
    known = found.configured and (found.config.hosts or found.config.null_hosts)
    return start_faults(found.config) if known else ()


def _unseen_prime(found: Federation) -> tuple[str, ...]:
    if found.configured or not found.config.hosts or any(one.prime for one in found.config.hosts):
        return ()
    return (
        "the prime is not among the active members: pages still come from it, and others must have its versions;"
        " which one it is only the configuration tells (--deploy-repo PATH)",
    )


def _row(
    found: Federation,
    standing: Standing,
    active: bool,
    share: float,
    part: float | None,
    reference: object | None,
) -> MemberRow:
    entry = found.config.host(standing.name)
    assert entry is not None
    seen = found.observed.get(standing.name)
    pods, quota = pods_and_quota(seen.health) if seen else (None, None)
    return MemberRow(
        name=standing.name,
        url=entry.url,
        prime=entry.prime,
        weight=entry.weight,
        active=active,
        redirector=None if found.active is None else standing.name in found.active,
        reason=standing.reason or ("" if active else (found.out or {}).get(standing.name, UNKNOWN)),
        detail=printable(standing.detail),
        share=share,
        capacity_share=part,
        quota=quota,
        pods=pods,
        free=free_places(seen.health.body, found.config.pod_headroom) if seen else None,
        versions=_versions(entry.prime, seen, reference),
        certificate_days=None if seen is None or seen.days_left is None else round(seen.days_left, 1),
        seconds=None if seen is None else round(seen.seconds, 3),
    )


def _versions(prime: bool, seen: Observed | None, reference: object | None) -> str:
    """ "prime", "equal", "not known", or how they differ."""
    if seen is None or not seen.versions.answer.usable:
        return "not known"
    if prime:
        return "prime"
    if reference is None:
        return "not known"
    return printable("; ".join(differences(seen.versions.body, reference))) or "equal"


def _disagreements(found: Federation, standings: Mapping[str, Standing]) -> tuple[str, ...]:
    """Where the redirector says otherwise than its rules on what was just seen."""
    if found.active is None:
        return ()
    told = []
    for name, one in standings.items():
        if one.active and name not in found.active:
            why = (found.out or {}).get(name, UNKNOWN)
            told.append(
                f"{name} looks well now, and the redirector has it out ({why}):"
                f" it looks again {found.config.check.failed_period_s:g} s after a failure, and may have another config"
            )
        elif not one.active and name in found.active and one.reason != WEIGHT:
            told.append(
                f"{name} is not well ({one.reason}{f': {printable(one.detail)}' if one.detail else ''}),"
                " and the redirector has it in:"
                f" it gives up after {found.config.check.retries if found.configured else 'several'} tries, or it saw another moment"
            )
    return tuple(told)


def _whole(value: object) -> int | None:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return value if isinstance(value, int) and not isinstance(value, bool) else None
