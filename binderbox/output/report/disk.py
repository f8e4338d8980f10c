"""Who uses what of the disk, as bars."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style, columns
from binderbox.output.results import DiskFileSystem, DiskPart, DiskResult

WIDTH = 30
FULL, EMPTY = "#", "."


def render_disk(result: DiskResult, style: Style = PLAIN) -> str:
    """A block of bars for file systems and one for parts, then how launches go; the last line is the verdict."""
    blocks = [
        columns([_file_system(one) for one in result.file_systems]),
        columns([_part(one) for one in result.parts]),
        columns(_launches(result)),
    ]
    if result.did:
        blocks.append("\n".join(f"  made room: {one}" for one in result.did))
    if result.others:
        blocks.append("\n".join(["  others fill the disk:", *(f"    {one}" for one in result.others)]))
    words = f"launches are refused for {', '.join(result.refused)}" if result.refused else "the disk has room"
    blocks.append(
        f"{result.host}: {style.paint(words, 'fail' if result.refused else 'pass')}, measured {result.at}"
    )
    return "\n\n".join(blocks)


def bar(share: float) -> str:
    """0 to 1 as a bar; more than all is full, and anything at all is seen."""
    filled = min(WIDTH, max(round(share * WIDTH), 1 if share > 0 else 0))
    return f"[{FULL * filled}{EMPTY * (WIDTH - filled)}]"


def _file_system(one: DiskFileSystem) -> tuple[str, ...]:
    used_gb = one.size_gb - one.free_gb
    taken = f"{used_gb:.1f} of {one.size_gb:.1f} GB"
    return (
        one.path,
        bar(used_gb / one.size_gb),
        taken,
        f"{one.free_gb:.1f} GB free",
        _pace(one.growth_gb_day, one.days_left),
    )


def _part(one: DiskPart) -> tuple[str, ...]:
    if one.ceiling_gb is None:
        return one.name, "", f"{one.used_gb:.1f} GB", _pace(one.growth_gb_day, one.days_left)
    taken = f"{one.used_gb:.1f} of {one.ceiling_gb:.1f} GB"
    return one.name, bar(one.used_gb / one.ceiling_gb), taken, _pace(one.growth_gb_day, one.days_left)


def _pace(growth_gb_day: float | None, days_left: float | None) -> str:
    if growth_gb_day is None:
        return ""
    left = "" if days_left is None else f", {days_left:.0f} days left"
    return f"{growth_gb_day:+.1f} GB a day{left}"


def _launches(result: DiskResult) -> list[tuple[str, str]]:
    rate = "nothing was launched in the last week"
    if result.hit_rate is not None:
        rate = f"{result.hit_rate:.0%} of {result.launches} launches in the last week found their image"
    took = ""
    if result.build_median_s is not None:
        took = f"; half took {result.build_median_s:g} s, nine of ten {result.build_slowest_tenth_s:g} s"
    return [
        ("launches", rate),
        ("builds", f"{result.builds} in the last day, and {result.builds_failed} that failed{took}"),
        ("pushes", f"{result.pushes_waiting} images wait for theirs"),
    ]
