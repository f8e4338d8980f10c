"""Keeps builds from filling the node's disk: below a floor of free bytes or inodes, those that write most are ended.

BuildKit's own floor (`minFreeSpace`) makes it prune its cache and holds no build back; the kubelet's ends pods. So this
one lies above both. Builds were seen to write 0.9 GB a second (8 dd on a page cache of 23 GB), so it is looked at four times
a second, and whatever takes seconds goes on beside: a walk through what was written, and what makes room.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ...events import say
from .config import DoorConfig

MB = 1_000_000
EVERY_S, MEASURE_EVERY_S = 0.25, 0.5
MEASURE_BELOW = 2.0  # floors: from here on each step is measured, before it has ended
FRESH_S = 5.0  # measured figures count as long
LOST_S = 1.0  # what the disk loses is told over
SETTLE_S = 5.0  # what an ended build had written is taken away beside
ROOM_EVERY_S = 60.0
EVICTION_LATE_S = 20.0  # the kubelet looks each 10 s, and has a pod's figures of up to 10 s ago
INODES_SHARE = 0.06  # the kubelet evicts at 3 %
ANY_SHARE = 0.1  # of what all have written: who has less is nobody's trouble
MUCH_BYTES, MUCH_INODES = 64 * MB, 10_000  # so is who has written less than this
RESTART_EVERY_S = 60.0
FILLS_BYTES, FILLS_INODES = 1 * MB, 100  # lost from one look to the next: it still fills


@dataclass(frozen=True)
class Free:
    """What is left; `inodes_in_all` is 0 where they are made as needed."""

    size_bytes: int
    inodes: int
    inodes_in_all: int


@dataclass(frozen=True)
class Floor:
    size_bytes: int

    def holds(self, free: Free) -> bool:
        return self._below(free, 1.0)

    def near(self, free: Free) -> bool:
        return not self._below(free, MEASURE_BELOW)

    def _below(self, free: Free, times: float) -> bool:
        """Whether the floor, so many times as high, lies below what is free."""
        inodes = times * INODES_SHARE * free.inodes_in_all
        return free.size_bytes >= times * self.size_bytes and free.inodes >= inodes


@dataclass(frozen=True)
class Grown:
    """What one build has written; `began` in seconds of the monotonic clock.

    + unseen: no step of it runs, and BuildKit does not say what it does
    + gone: it has ended, and this is what BuildKit has written for it since then
    """

    key: str
    began: float
    size_bytes: int
    inodes: int
    unseen: bool = False
    gone: bool = False


def floor(plain_mb: int, eviction_mb: int, highest_mb: int, rate_bytes_s: float) -> Floor:
    """The floor that holds what is written until the kubelet has evicted somebody, at the highest rate seen here."""
    wanted = eviction_mb * MB + EVICTION_LATE_S * rate_bytes_s
    return Floor(round(min(max(plain_mb * MB, wanted), highest_mb * MB)))


def choose(builds: Iterable[Grown], free: Free, floor: Floor, lost: Free) -> Grown | None:
    """Who is to end: the largest grower of what is short, the newest of those alike.

    + lost: what the disk has lost since the last look. Where nobody is seen to write it, the newest ends of those that cannot
      be seen. A disk that fills no further costs nobody his build.
    """
    found = list(builds)
    short_of_inodes = free.size_bytes >= floor.size_bytes

    def grown(one: Grown) -> int:
        return one.inodes if short_of_inodes else one.size_bytes

    least = MUCH_INODES if short_of_inodes else MUCH_BYTES
    total = sum(map(grown, found))
    growers = [one for one in found if grown(one) >= max(least, ANY_SHARE * total)]
    fills = lost.inodes >= FILLS_INODES if short_of_inodes else lost.size_bytes >= FILLS_BYTES
    unseen = [one for one in found if fills and one.unseen]
    return max(growers or unseen, key=lambda one: (grown(one), one.began), default=None)


class Guard:
    """`look` says what is free, `grown` what each build has written, `end` ends one and says why in its log.

    `make_room` is asked before: whether it let go of something that the kubelet may delete. `restart` starts BuildKit
    anew, and says why: it goes on unpacking for a build that has ended, and keeps what it had written.
    """

    def __init__(
        self,
        config: DoorConfig,
        look: Callable[[], Free],
        grown: Callable[[], list[Grown]],
        end: Callable[[str, str], None],
        make_room: Callable[[str], int],
        restart: Callable[[str], None],
    ) -> None:
        self._config = config
        self._look = look
        self._grown = grown
        self._end = end
        self._make_room = make_room
        self._restart = restart
        self._rate_bytes_s = 0.0
        self._looks: deque[tuple[float, Free]] = deque()
        self._measured: tuple[float, list[Grown]] = (float("-inf"), [])
        self._measuring = threading.Lock()
        self._ends = 0  # so many builds were ended, or BuildKit was
        self._quiet_until = 0.0
        self._room_at = self._restarted_at = float("-inf")

    @property
    def floor(self) -> Floor:
        one = self._config
        return floor(one.free_floor_mb, one.eviction_mb, one.free_ceiling_mb, self._rate_bytes_s)

    def measure(self, clock: Callable[[], float]) -> None:
        """What each build has written, once the disk comes near its floor: by a thread of its own, for it takes long."""
        if not self.floor.near(self._look()):
            return
        with self._measuring:
            ends, builds = self._ends, self._grown()
            if ends == self._ends:
                self._measured = (clock(), builds)

    def room(self, now: float) -> None:
        """Let go of what the kubelet may delete then; by a thread of its own too, for containerd takes seconds over it."""
        if now - self._room_at <= ROOM_EVERY_S or self._look().size_bytes >= self._config.images_free_mb * MB:
            return
        if self._make_room("the disk is short, and Kubernetes may not delete what is pinned"):
            self._room_at = now

    def step(self, now: float) -> None:
        """One look, and what follows from it."""
        free = self._look()
        lost = self._learn(now, free)
        floor = self.floor
        collapsing = free.size_bytes < floor.size_bytes / 2
        given_back = lost.size_bytes <= -FILLS_BYTES or lost.inodes <= -FILLS_INODES
        if floor.holds(free) or (given_back and not collapsing):
            return
        builds = self._known(now)
        worst = choose(builds, free, floor, lost)
        if now < self._quiet_until and not collapsing and not (worst and worst.gone):
            return
        left_over = any(one.gone for one in builds) and now - self._restarted_at > RESTART_EVERY_S
        if worst and not worst.gone:
            files = f" in {worst.inodes} files" if worst.inodes else ""
            told = "what it fetched" if worst.unseen else f"{worst.size_bytes / 1e9:.1f} GB{files}"
            self._end(
                worst.key,
                f"The disk of this node ran short, and this build wrote most of it: {told}. It was ended.",
            )
        elif left_over:
            self._restarted_at = now
            self._restart(
                "the disk is short, and it goes on with a build that has ended, or keeps what that had written"
            )
        else:
            return
        say(
            "disk-short",
            free_mb=free.size_bytes // MB,
            floor_mb=floor.size_bytes // MB,
            free_inodes=free.inodes,
        )
        self._quiet_until = now + SETTLE_S
        self._ends += 1
        self._measured = (float("-inf"), [])  # who wrote most has ended: the next is found anew

    def _known(self, now: float) -> list[Grown]:
        """The figures that were measured just before, or such of now."""
        at, builds = self._measured
        if now - at <= FRESH_S:
            return builds
        with self._measuring:  # maybe by the other thread, just now
            at, builds = self._measured
            return builds if now - at <= FRESH_S else self._grown()

    def _learn(self, now: float, free: Free) -> Free:
        """What was lost in the last second; the highest rate at which the disk filled is kept."""
        self._looks.append((now, free))
        while len(self._looks) > 2 and self._looks[1][0] <= now - LOST_S:
            self._looks.popleft()
        then, before = self._looks[0]
        lost = Free(before.size_bytes - free.size_bytes, before.inodes - free.inodes, free.inodes_in_all)
        if now - then >= LOST_S:
            self._rate_bytes_s = max(self._rate_bytes_s, lost.size_bytes / (now - then))
        return lost


def free_at(path: str) -> Free:
    """Of the file system that a directory lies on, or will: containerd makes its own when it starts for the first time."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return Free(found.f_bavail * found.f_frsize, found.f_favail, found.f_files)
