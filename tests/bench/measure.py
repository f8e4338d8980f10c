"""What a measure is, how two ways are compared, and where the figures go.

Seconds depend on the machine, so a measure is a ratio of two things done on the same machine side by side: A B A B,
and the median of the pairs' ratios. A slow moment of the machine then spoils one pair and not the answer.
"""

from __future__ import annotations

import json
import os
import platform
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any


class CouldNotMeasure(Exception):
    """There is no figure; the text says why."""


@dataclass(frozen=True)
class Measure:
    """One line of the answer. `goal` is the most that `ratio` may be, None where none was set."""

    name: str
    what: str
    ratio: float
    goal: float | None
    raw: dict[str, Any] = field(default_factory=dict)

    def render(self) -> str:
        """One line: name, ratio, goal, raw figures."""
        goal = "no goal" if self.goal is None else f"goal <= {self.goal:g}"
        met = "" if self.goal is None else (", met" if self.ratio <= self.goal else ", MISSED")
        figures = ", ".join(f"{name} {_shown(value)}" for name, value in self.raw.items())
        return f"{self.name:<10} {self.ratio:>7.3f}  {goal}{met} | {self.what} | {figures}"


@dataclass(frozen=True)
class Pair:
    """One A and one B, in seconds."""

    ours_s: float
    other_s: float

    @property
    def ratio(self) -> float:
        return self.ours_s / self.other_s


def take_pairs(
    ours: Callable[[], float], other: Callable[[], float], count: int, *, warm_up: int = 1
) -> list[Pair]:
    """Run both by turns; the first `warm_up` pairs are not counted."""
    taken = [Pair(ours(), other()) for _ in range(warm_up + count)]
    return taken[warm_up:]


def median_ratio(pairs: Sequence[Pair]) -> float:
    """The median of the pairs' ratios, which is not the ratio of the medians."""
    return statistics.median(pair.ratio for pair in pairs)


def median(values: Sequence[float]) -> float:
    """For raw figures."""
    return round(statistics.median(values), 4)


def record(measure: Measure, path: Path, when: datetime | None = None) -> None:
    """Append one JSON line, with the shape of the machine and how busy it was."""
    line = {
        "when": (when or datetime.now(UTC)).isoformat(timespec="seconds"),
        "machine": machine(),
        **asdict(measure),
        "met": None if measure.goal is None else measure.ratio <= measure.goal,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, ensure_ascii=False) + "\n")


def machine() -> dict[str, Any]:
    """What the figures were measured on."""
    ram = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return {
        "cpus": len(os.sched_getaffinity(0)),
        "ram_gb": round(ram / 1e9, 1),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 1),
    }


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    if isinstance(value, dict):
        return "(" + ", ".join(f"{name} {_shown(one)}" for name, one in value.items()) + ")"
    if isinstance(value, list | tuple):
        return "[" + " ".join(_shown(one) for one in value) + "]"
    return str(value)
