"""Before an install changes anything: has everything a sum that counts, and what does the operator need to know of it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing
from datetime import UTC, datetime

from binderbox.artifacts import records
from binderbox.artifacts import sources as origins
from binderbox.artifacts.records import Record, Records
from binderbox.artifacts.resolve import Artifact
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts import sizes
from binderbox.commands.artifacts.asking import ask
from binderbox.commands.connect import followed_of, pins_of
from binderbox.commands.probe import HostProbe
from binderbox.decide import proxies
from binderbox.federation.following.followed import (
    BUILD_IMAGE,
    CHART,
    CHART_IMAGES,
    GUARD_CHART,
    GUARD_IMAGES,
)
from binderbox.member.model import Member
from binderbox.output.requests import Sources
from binderbox.plan import ARCHITECTURES
from binderbox.world.host.asking import NodeAsks
from binderbox.world.host.hosts import Host
from binderbox.world.http.publishers import Publishers


def pinned_only(member: Member, asked_for: bool) -> bool:
    """Whether what is not pinned is refused: an authority of the site's own could state anything."""
    if asked_for:
        return True
    return bool(member.extra_ca) if member.require_pins is None else member.require_pins


def lifted(member: Member) -> list[str]:
    """What an operator is told who believes statements over a TLS that the site itself may end."""
    if not (member.extra_ca and member.require_pins is False):
        return []
    return ["require_pins: false: publishers are believed over TLS that the authorities of extra_ca may end"]


def vouched(
    host: Host,
    probe: HostProbe,
    sources: Sources,
    *,
    require_pins: bool = False,
    accepted: Mapping[str, str] | None = None,
) -> dict[str, Record]:
    """What was stated or decided now, to be recorded with the install; raises BundleError where a sum is missing.

    A publisher is asked only for what is neither pinned nor recorded.
    """
    if probe.from_bundle:
        return {}
    pins = wanted_pins(probe, sources)
    known = records.parse(probe.facts.records)
    decided: Records = {}
    if accepted:
        now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        after = origins.accept(pins, known, accepted, now)
        decided = {name: one for name, one in after.items() if known.get(name) != one}
    rest = {name: one for name, one in known.items() if name not in decided}
    origins.refuse_disputed(pins, rest)
    found = origins.resolve(pins, rest, decided)
    only = pinned_only(probe.member, require_pins)
    if only or not (missing := origins.unknown(pins, found)):
        origins.refuse_unknown(pins, found, pinned_only=only)
        return dict(decided)
    sums = {name: one.sha256 for name, one in found.items() if one.trust}
    with closing(Publishers(probe.member.extra_ca)) as publishers:
        stated = ask(
            pins,
            missing,
            sums,
            (("client", publishers), ("node", NodeAsks(host, proxies.exports(probe.member)))),
        )
    new = {**decided, **stated}
    origins.refuse_unknown(pins, origins.resolve(pins, rest, new), pinned_only=False)
    return new


def to_fetch(probe: HostProbe, stated: Records) -> str:
    """How much a first install fetches, or one with new artifacts; of any other nobody is asked."""
    if probe.from_bundle or (probe.facts.applied and not stated):
        return ""
    with closing(Publishers(probe.member.extra_ca)) as publishers:
        return sizes.told(publishers, probe.artifacts.values(), ARCHITECTURES[probe.facts.arch])


def wanted_pins(probe: HostProbe, sources: Sources) -> dict[str, Pin]:
    """The pins without those in whose place the follower's count."""
    pins = pins_of(probe.facts, sources)
    record, without, of = followed_of(probe.facts), set[str](), set[str]()
    if record.followed:
        without |= {CHART, CHART_IMAGES, BUILD_IMAGE}
        of.add(CHART)
    if record.guard:
        without |= {GUARD_CHART, GUARD_IMAGES}
        of.add(GUARD_CHART)
    return {name: pin for name, pin in pins.items() if name not in without and pin.of not in of}


def in_short(artifacts: Mapping[str, Artifact], stated: Records) -> str:
    """`3 of 10 artifacts are not pinned: ...`, where somebody was asked for some now."""
    if not stated:
        return ""
    return f"{len(stated)} of {len(artifacts)} artifacts are not pinned: {', '.join(sorted(stated))}"


def told_of(artifacts: Mapping[str, Artifact], stated: Records) -> list[str]:
    """What an operator is told before the question: which artifacts are not pinned, and who vouches for each."""
    if not stated:
        return []
    lines = [in_short(artifacts, stated)]
    for name in sorted(stated):
        one = stated[name]
        lines.append(
            f"{name} {one.version}: sha256 {one.sha256}, stated by {one.stated_by}, asked from the {one.asked_from}"
        )
    return lines
