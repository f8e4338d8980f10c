"""Directories of the node that builds write into, and how much lies in them."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

EACH_S = 0.5  # of a walk through one place; what is counted by then is told
BLOCK = 512  # stat(2)
# containerd's: a layer that is being made, its directory being as old as the layer, and a blob that arrives
SNAPSHOTS = "io.containerd.snapshotter.v1.overlayfs/snapshots/*/fs"
INGESTS = "io.containerd.content.v1.content/ingest/*/startedat"


@dataclass(frozen=True)
class Size:
    bytes: int = 0
    inodes: int = 0

    def __add__(self, other: Size) -> Size:
        return Size(self.bytes + other.bytes, self.inodes + other.inodes)

    def less(self, before: Size) -> Size:
        """What came to it; what was taken away is no growth."""
        return Size(max(0, self.bytes - before.bytes), max(0, self.inodes - before.inodes))


@dataclass(frozen=True)
class Place:
    """`made` in seconds since 1970."""

    path: str
    made: float


def fresh(containerd: Path, since: float, taken: set[str]) -> list[Place]:
    """What containerd has begun since then, without the directories that are `taken`."""
    found = []
    for fs in containerd.glob(SNAPSHOTS):
        with suppress(OSError):
            found.append(Place(str(fs), fs.parent.stat().st_mtime))
    for told in containerd.glob(INGESTS):
        with suppress(OSError):
            found.append(Place(str(told.parent), told.stat().st_mtime))
    return [one for one in found if one.made >= since and one.path not in taken]


def overlays(mounts: str) -> dict[str, str]:
    """Where overlays are mounted, and the directory of each one's own, or nothing; `mounts` is the text of /proc/self/mountinfo."""
    found = {}
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 9 and words[-3] == "overlay":
            options = words[-1].split(",")
            own = [one.removeprefix("upperdir=") for one in options if one.startswith("upperdir=")]
            found[words[4]] = own[0] if own else ""
    return found


def tops(places: Iterable[str], overlays: Mapping[str, str]) -> set[str]:
    """Where what is written at these places lies: of an overlay that is mounted there the directory of its own, else the
    place itself."""
    return {overlays.get(place, place) for place in places} - {""}


def written(tops: Iterable[str], until: float) -> Size:
    """What lies below these directories, as far as it can be counted until then (monotonic); what goes meanwhile is not there."""
    found = [0, 0]
    for top in tops:
        with suppress(OSError):  # it has gone, or is a file
            _count(top, found, min(until, time.monotonic() + EACH_S))
    return Size(found[0], found[1])


def _count(top: str, found: list[int], deadline: float) -> None:
    for _, directories, files, here in os.fwalk(top, follow_symlinks=False):
        if time.monotonic() > deadline:
            return
        for name in (*files, *directories):
            with suppress(OSError):
                found[0] += os.stat(name, dir_fd=here, follow_symlinks=False).st_blocks * BLOCK
                found[1] += 1
