"""Which of cryptnono's charts a node should run: the one that the federation's branch pins at its tip. Pure.

No answer of the prime says which it runs; the branch is deployed as it is merged. Standard library only, for Python 3.10 and
newer: it travels to the node.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from binderbox.federation.following.follow import CHART_FILE, Range, repository_of
from binderbox.federation.following.followed import Record

DEPENDENCY = "cryptnono"


@dataclass(frozen=True)
class GuardRules:
    """What may be followed: charts below `places`, in `range`, with images of `sources` (repositories without a tag)."""

    places: tuple[str, ...]
    sources: tuple[str, ...]
    range: Range


@dataclass(frozen=True)
class GuardPins:
    """What one commit of the deployment repository pins of cryptnono."""

    commit: str
    chart: str
    repository: str


def read_pins(commit: str, chart: Any) -> GuardPins | None:
    """The pin in the parsed CHART_FILE, None where that federation runs none; raises ValueError for one that is no text."""
    found = chart.get("dependencies", []) if isinstance(chart, Mapping) else []
    for one in found:
        if isinstance(one, Mapping) and one.get("name") == DEPENDENCY:
            version, repository = one.get("version"), one.get("repository")
            if not (isinstance(version, str) and version and isinstance(repository, str)):
                raise ValueError(f"{commit[:8]} {CHART_FILE}: {DEPENDENCY} {version!r} from {repository!r}")
            return GuardPins(commit, version, repository.rstrip("/"))
    return None


def refusal(pins: GuardPins, rules: GuardRules) -> str:
    """Why this pin may not be followed, or nothing."""
    if pins.repository not in [place.rstrip("/") for place in rules.places]:
        return f"the chart comes from {pins.repository}, allowed is {' or '.join(rules.places)}"
    if not rules.range.holds(pins.chart):
        return (
            f"chart {pins.chart} is outside of {rules.range.at_least or 'anything'} to below "
            f"{rules.range.below or 'anything'}"
        )
    return ""


def foreign(images: Iterable[str], rules: GuardRules) -> tuple[str, ...]:
    """Which images come from elsewhere."""
    return tuple(image for image in images if repository_of(image) not in rules.sources)


def failed_before(pins: GuardPins, record: Record) -> str:
    """Why this chart, which could be followed, is left alone, or nothing."""
    for one in record.guard_failed:
        if one.chart == pins.chart:
            return f"chart {pins.chart} failed its proof here at {one.at}: {one.why}"
    return ""
