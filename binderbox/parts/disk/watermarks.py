"""What gives way on a file system that runs short, in the order that costs users least. Pure, standard library only: it
travels to the node.

BuildKit's cache costs a build its head start, an image that nobody uses a pull, one of the registry a build, and a launch that
is refused somebody's visit here: the federation sends it to another member.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

GB = 1_000_000_000
CACHE, UNUSED, REGISTRY, LAUNCHES = "cache", "unused", "registry", "launches"
ORDER = (CACHE, UNUSED, REGISTRY)
# So much more than its floor is made free, or a few bytes later it is short again; and launches wait for more, as whoever
# comes then writes.
MARGIN_SHARE, BACK_SHARE = 0.01, 0.03
INODES_SHARE, NO_LIMIT = 0.09, 1 << 62


@dataclass(frozen=True)
class FileSystem:
    """One that something of ours lies on; `floors_gb` is what must be free, by what gives way below it.

    + other_gb: what other things took when it was planned for
    """

    name: str
    path: str
    usable_gb: float
    other_gb: float
    floors_gb: Mapping[str, float]

    def missing(self, what: str, free_bytes: int) -> int:
        """Bytes that `what` has to give up, 0 for none."""
        floor = self.floors_gb.get(what)
        if floor is None or free_bytes >= floor * GB:
            return 0
        return round((floor + MARGIN_SHARE * self.usable_gb) * GB - free_bytes)

    def may_be_launched_on(self, free_bytes: int) -> bool:
        """Whether launches that were refused are let in again."""
        return free_bytes >= (self.floors_gb[LAUNCHES] + BACK_SHARE * self.usable_gb) * GB


def by_inodes(disk: FileSystem, share: float | None) -> int:
    """Bytes that stand for the share of inodes that is free: an image of many small files is short of those first.

    Kubernetes evicts at 3 %; 9 % stand for the highest floor, so that everything gives way in the same order above that.
    """
    highest = max(disk.floors_gb.values())
    return NO_LIMIT if share is None else round(highest * GB * share / INODES_SHARE)


def missing(disks: Iterable[FileSystem], free: Mapping[str, int], what: str) -> int:
    """Bytes that `what` has to give up, on the file system that is shortest of it."""
    return max((disk.missing(what, free[disk.name]) for disk in disks), default=0)


def refused(disks: Iterable[FileSystem], free: Mapping[str, int], *, before: bool) -> tuple[FileSystem, ...]:
    """File systems for whose sake no launch is let in; `before`: whether none is already."""
    if before:
        return tuple(disk for disk in disks if not disk.may_be_launched_on(free[disk.name]))
    return tuple(disk for disk in disks if disk.missing(LAUNCHES, free[disk.name]))


def idle_first(images: Iterable[str], used: Mapping[str, float]) -> list[str]:
    """Images in the order in which they go: idle longest first; one that nobody has noted yet has just been built."""
    return sorted(images, key=lambda image: (used.get(image.partition("/")[2], float("inf")), image))


def parse(found: Iterable[Mapping[str, Any]]) -> tuple[FileSystem, ...]:
    """What they are in the agent's config, as plain data; raises KeyError and TypeError for anything else."""
    return tuple(FileSystem(**one) for one in found)
