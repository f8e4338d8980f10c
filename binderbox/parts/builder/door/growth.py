"""What each build under way has written, steps that have ended included, as far as somebody looked.

A step tells whose it is, and its mounts where it writes. What BuildKit fetches, unpacks and exports lies in containerd's
directories, where nothing says for whom: it is that build's of which something began just before the place was made.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from . import steps
from .building import Left, Running
from .guard import Grown
from .places import Place, Size, fresh, overlays, tops, written

NOTHING = Size()
MOUNTS = Path("/proc/self/mountinfo")
TWICE_S = 0.3  # between two looks at a place that nobody has seen before: what counts is how it grows
LOOK_S = 2.0  # all steps together, and all places of BuildKit's
STOPS_WITHIN_S = 1.0  # what BuildKit does stop when its client leaves
JUST_BEFORE_S = (
    0.05  # BuildKit says that something begins, and the place is made; both clocks are the kernel's
)


@dataclass
class _Written:
    """By one build: what each of its steps has, and what BuildKit has for it."""

    steps: dict[str, Size] = field(default_factory=dict)
    fetched: Size = NOTHING

    @property
    def whole(self) -> Size:
        return sum(self.steps.values(), self.fetched)


class Growth:
    """`tasks` and `containerd` are containerd's directories: its bundles of what runs, and its root.

    + left: builds that ended while BuildKit was not done, since its last start
    """

    def __init__(
        self,
        tasks: Path,
        containerd: Path,
        builds: Callable[[], Mapping[str, Running]],
        left: Callable[[], Mapping[str, Left]],
    ) -> None:
        self._tasks = tasks
        self._containerd = containerd
        self._builds = builds
        self._left = left
        self._written: dict[str, _Written] = {}
        self._after: dict[str, _Written] = {}  # of builds that have ended: what came since then
        self._places: dict[Place, Size] = {}

    def look(self) -> list[Grown]:
        """Measure the steps that run now, and what BuildKit has begun since the oldest build did."""
        mounted, left = overlays(MOUNTS.read_text()), self._left()
        builds = {key: one for key, one in self._builds().items() if key not in left}
        self._written = {key: self._written.get(key, _Written()) for key in builds}
        self._after = {key: self._after.get(key, _Written()) for key in left}
        running = steps.running(self._tasks)
        until = time.monotonic() + LOOK_S
        for step in running:
            if step.key in builds:
                self._written[step.key].steps[step.id] = written(tops(step.places, mounted), until)
        # what is measured as a step's, and what pods write, is nobody's fetch
        roots = [f"{bundle}/rootfs" for bundle in self._tasks.glob("*")]
        taken = tops([*roots, *(place for step in running for place in step.places)], mounted)
        self._look_at_fetches(builds, left, taken)
        stepping = {step.key for step in running}
        found = [
            Grown(
                key,
                one.began,
                self._written[key].whole.bytes,
                self._written[key].whole.inodes,
                unseen=key not in stepping and not one.vertices.told,
            )
            for key, one in builds.items()
        ]
        return found + [
            Grown(key, 0.0, one.fetched.bytes, one.fetched.inodes, gone=True)
            for key, one in self._after.items()
        ]

    def _look_at_fetches(
        self, builds: Mapping[str, Running], left: Mapping[str, Left], taken: set[str]
    ) -> None:
        since = {key: one.vertices.since for key, one in builds.items()} | {
            key: one.since for key, one in left.items()
        }
        oldest = min((began for all_began in since.values() for began in all_began), default=None)
        found = [] if oldest is None else fresh(self._containerd, oldest - JUST_BEFORE_S, taken)
        if any(one not in self._places for one in found):
            self._places |= _sizes(one for one in found if one not in self._places)
            time.sleep(TWICE_S)
        before, self._places = self._places, _sizes(found)
        for place, size in self._places.items():
            owner, grown = whose(place.made, since), size.less(before[place])
            if owner is None:
                continue
            if owner in builds:
                self._written[owner].fetched += grown
            elif owner in left and time.time() - left[owner].ended > STOPS_WITHIN_S:
                self._after[owner].fetched += grown


def _sizes(places: Iterable[Place]) -> dict[Place, Size]:
    until = time.monotonic() + LOOK_S
    return {one: written([one.path], until) for one in places}


def whose(made: float, since: Mapping[str, tuple[float, ...]]) -> str | None:
    """The build of which something, that still goes on, began last before a place was made; times in seconds since 1970."""
    begun = [
        (began, key)
        for key, all_began in since.items()
        for began in all_began
        if began <= made + JUST_BEFORE_S
    ]
    return max(begun)[1] if begun else None
