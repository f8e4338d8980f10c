"""What each part of the member takes of the disk, who else takes what, and how fast it grows. Pure, standard library only: it
travels to the node.
"""

from __future__ import annotations

import os.path
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from binderbox import layout

IMAGES, BUILDKIT, STORE, LOGS = "images", "BuildKit's cache", "object store", "logs"
KUBERNETES, HUB, REST = "Kubernetes", "hub", "binderbox's own"
DAY_S = 86_400
GROWTH_OVER_S = 7 * DAY_S
LEAST_HISTORY_S = 6 * 3600
KEPT = 8 * 24  # one an hour
MOST_OF_IT = 0.6  # of a directory: then it is that one that is named, and not the one around it


def places(data_dir: str) -> dict[str, tuple[str, ...]]:
    """Part to the directories that are its; what lies inside another's comes before it, as du counts each file once."""
    return {
        IMAGES: (layout.CONTAINERD_ROOT,),
        BUILDKIT: (f"{data_dir}/buildkit",),
        STORE: (f"{data_dir}/objectstore",),
        LOGS: ("/var/log/pods", "/var/log/journal", layout.AUDIT_FILE, layout.AUDIT_BEFORE),
        HUB: (f"{data_dir}/hub",),
        KUBERNETES: (layout.K3S_DATA, "/var/lib/kubelet"),
        REST: (data_dir, *(() if data_dir == layout.DATA else (layout.DATA,)), layout.LIB),
    }


def planned_for(path: str, data_dir: str) -> bool:
    """Whether the plan of the disk counts a directory as ours, and not among what others take."""
    return any(path == one or path.startswith(f"{one}/") for one in (data_dir, layout.K3S_DATA))


def parse_du(text: str) -> dict[str, int]:
    """Path to bytes, of du's lines."""
    rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return {path: int(size) for size, path in rows}


def by_part(sizes: Mapping[str, int], data_dir: str, cache_bytes: int) -> dict[str, int]:
    """Part to bytes. BuildKit's layers are containerd's: what no image shares of them is taken from images.

    + cache_bytes: of BuildKit's records that no image shares
    """
    found = {part: sum(sizes.get(path, 0) for path in paths) for part, paths in places(data_dir).items()}
    moved = min(cache_bytes, found[IMAGES])
    return found | {IMAGES: found[IMAGES] - moved, BUILDKIT: found[BUILDKIT] + moved}


def others(sizes: Mapping[str, int], path: str, ours: Iterable[str]) -> int:
    """Bytes below a directory that are not ours.

    + sizes: of directories, each with all below it
    """
    inside = f"{path.rstrip('/')}/"
    own = [one for one in ours if one.startswith(inside)]
    return sizes.get(path, 0) - sum(sizes.get(one, 0) for one in own if not _below(one, own))


def largest(
    sizes: Mapping[str, int], top: str, ours: Collection[str], most: int = 3
) -> list[tuple[str, int]]:
    """The largest directories below `top` that are not ours, each as deep as it still has most of what lies there."""
    children: dict[str, list[str]] = {}
    for path in sizes:
        if path not in (top, *ours):
            children.setdefault(os.path.dirname(path), []).append(path)

    def named(path: str) -> tuple[str, int]:
        whole = others(sizes, path, ours)
        deeper = max(((others(sizes, one, ours), one) for one in children.get(path, ())), default=(0, ""))
        return named(deeper[1]) if deeper[0] > MOST_OF_IT * whole else (path, whole)

    return sorted(map(named, children.get(top, ())), key=lambda one: -one[1])[:most]


def _below(path: str, others: Iterable[str]) -> bool:
    return any(path.startswith(f"{one}/") for one in others)


def growth(history: Sequence[Mapping[str, Any]], part: str, now: float) -> float | None:
    """Bytes a day over the last week; None where it is not long enough looked at.

    + history: `at` in seconds since 1970 and `used`, part to bytes; oldest first
    """
    seen = [one for one in history if now - GROWTH_OVER_S <= one["at"] <= now and part in one["used"]]
    if not seen or seen[-1]["at"] - seen[0]["at"] < LEAST_HISTORY_S:
        return None
    days = (seen[-1]["at"] - seen[0]["at"]) / DAY_S
    return float((seen[-1]["used"][part] - seen[0]["used"][part]) / days)


def days_left(used: float, ceiling: float | None, growth_a_day: float | None) -> float | None:
    """Until it is at its ceiling; None where there is none, or it does not grow."""
    if ceiling is None or growth_a_day is None or growth_a_day <= 0:
        return None
    return max(0.0, (ceiling - used) / growth_a_day)
