"""Plots as files, by matplotlib, which is an extra of the package and imported only here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from binderbox.errors import UsageError

# Okabe and Ito's colours, which differ without colour vision, too: https://jfly.uni-koeln.de/color/
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")
DASHES = ("-", "--", "-.", ":")
HATCHES = ("", "//", "..", "xx", "\\\\", "++", "oo", "**")
SIZE_INCHES = (8, 4.5)
TEXT_POINTS = 13  # readable at half its size


@dataclass(frozen=True)
class Line:
    """One line of a plot; `ys` are as many as `xs`."""

    label: str
    xs: Sequence[float]
    ys: Sequence[float]


@dataclass(frozen=True)
class Moment:
    """From `time_s`, in seconds since 1970, on: each name's weight, and who stands in the strip above."""

    time_s: float
    weights: Mapping[str, float]
    above: Sequence[str]


def checked(path: Path) -> None:
    """Raises UsageError for a file that cannot be a plot, or without matplotlib, before anybody is asked anything."""
    if path.suffix not in (".png", ".svg"):
        raise UsageError(f"--plot {path}: needed is a name that ends with .png or .svg")
    if not path.absolute().parent.is_dir():
        raise UsageError(f"--plot {path}: there is no directory {path.parent}")
    try:
        import matplotlib  # noqa: F401
    except ImportError as error:
        raise UsageError(
            "--plot needs matplotlib, which is not installed", remedy="pip install 'binderbox[plots]'"
        ) from error


def draw_errors(lines: Sequence[Line], load: float, path: Path) -> None:
    """Launches that fail, 0 to 1, over sessions at once, and where the load is."""
    figure, axes = _empty()
    for number, line in enumerate(lines):
        percent = [100 * part for part in line.ys]
        axes.plot(
            line.xs,
            percent,
            DASHES[number % len(DASHES)],
            color=COLOURS[number],
            linewidth=2.5,
            label=line.label,
        )
    axes.axvline(load, color="#555555", linewidth=1, linestyle=(0, (1, 1)))
    at = (load, axes.get_ylim()[1])
    axes.annotate(f"load {load:g}", at, xytext=(4, -14), textcoords="offset points", color="#555555")
    axes.set_xlabel("sessions at once")
    axes.set_ylabel("launches that fail (%)")
    axes.set_xlim(left=0)
    axes.set_ylim(bottom=0)
    axes.legend(frameon=False)
    _save(figure, path)


def draw_weights(moments: Sequence[Moment], path: Path) -> None:
    """Each member's part of all weights over time, stacked; in a strip above, who is the prime."""
    figure, (strip, axes) = _empty(rows=2, height_ratios=(1, 14), sharex=True)
    times = [*(datetime.fromtimestamp(one.time_s, UTC) for one in moments), datetime.now(UTC)]
    names = list(dict.fromkeys(name for one in moments for name in one.weights))
    looks = {name: _look(number) for number, name in enumerate(names)}
    parts: dict[str, list[float]] = {name: [] for name in names}
    for number, one in enumerate(moments):
        whole = sum(one.weights.values()) or 1.0
        for name in names:
            parts[name].append(100 * one.weights.get(name, 0.0) / whole)
        for name in one.above:
            strip.axvspan(times[number], times[number + 1], **looks[name])
    drawn = [values + values[-1:] for values in parts.values()]
    for area, name in zip(axes.stackplot(times, drawn, labels=names, step="post"), names, strict=True):
        area.set(**looks[name])
    strip.set_ylabel("prime", rotation=0, ha="right", va="center")
    strip.set_yticks([])
    strip.spines[:].set_visible(False)
    axes.set_ylabel("part of all weights (%)")
    axes.set_ylim(0, 100)
    axes.set_xlim(times[0], times[-1])
    axes.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5), fontsize=TEXT_POINTS - 3)
    for label in axes.get_xticklabels():
        label.set(rotation=30, ha="right")
    _save(figure, path)


def _look(number: int) -> dict[str, Any]:
    """A member's colour and pattern, the same wherever it is drawn."""
    return {
        "facecolor": COLOURS[number % len(COLOURS)],
        "hatch": HATCHES[(number + number // len(COLOURS)) % len(HATCHES)],
        "edgecolor": "white",
        "linewidth": 0.3,
    }


def _empty(rows: int = 1, **layout: Any) -> tuple[Any, Any]:
    from matplotlib import rcParams
    from matplotlib.figure import Figure

    rcParams["font.size"] = TEXT_POINTS
    rcParams["hatch.linewidth"] = 0.5
    rcParams["svg.hashsalt"] = "binderbox"  # the same plot is the same file
    figure = Figure(figsize=SIZE_INCHES, layout="constrained")
    drawn = figure.subplots(rows, 1, **layout)
    for axes in drawn if rows > 1 else [drawn]:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_axisbelow(True)
    return figure, drawn


def _save(figure: Any, path: Path) -> None:
    try:
        figure.savefig(path, dpi=150, metadata={"Date": None} if path.suffix == ".svg" else None)
    except OSError as error:
        raise UsageError(f"--plot {path}: {error.strerror}") from error
