"""Whose step it is that takes all builds to their common ceiling of memory.

Beyond it the kernel ends the largest process of any of them: of an honest linker, while a step of thousand small ones fills the
rest. So shortly before it the build is ended that has more than its share, and most. A step has a ceiling of its own besides.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from ...events import say
from .steps import PREFIX, key_of

HIGH = 0.9  # of the ceiling; at HELD the kernel holds who asks for more back (memory.high, cgroup v2), which gives time to look
HELD = 0.95
SETTLE_S = 2.0  # what an ended build held is given back beside


@dataclass(frozen=True)
class Used:
    """What the steps of one build hold, in bytes."""

    key: str
    size_bytes: int


def guilty(builds: Iterable[Used], ceiling_bytes: int, slots: int) -> Used | None:
    """Who is to end: of those beyond their share, the one with most; nobody while there is room, or where one is alone."""
    found = list(builds)
    if len(found) < 2 or sum(one.size_bytes for one in found) < HIGH * ceiling_bytes:
        return None
    beyond = [one for one in found if one.size_bytes > ceiling_bytes / max(slots, len(found))]
    return max(beyond, key=lambda one: one.size_bytes, default=None)


def held(memory_stat: str, charged_bytes: int) -> int:
    """Of what a cgroup is charged for, page tables and sockets too, what no pressure but only its processes' end gives back.

    + memory_stat: cgroup v2's or v1's, whose rows `total_...` count what is below, too
    """
    rows = dict(line.split() for line in memory_stat.splitlines() if line.count(" ") == 1)
    prefix, cache = ("total_", "total_cache") if "total_cache" in rows else ("", "file")
    of_files = int(rows.get(cache, 0)) - int(rows.get(f"{prefix}shmem", 0))
    return max(0, charged_bytes - of_files - int(rows.get("slab_reclaimable", 0)))


class Memory:
    """`slices` are directories of the builds' slice in the hierarchies that count memory, `tasks` containerd's of what runs.

    `end` ends a build by its key, and says why in its log.
    """

    def __init__(
        self,
        slices: Iterable[Path],
        tasks: Path,
        ceiling_mb: int,
        slots: int,
        end: Callable[[str, str], None],
    ) -> None:
        self._slices, self._tasks = tuple(slices), tasks
        self._ceiling_bytes, self._slots = ceiling_mb * 1_000_000, slots
        self._end = end
        self._quiet_until = 0.0

    def step(self, now: float) -> None:
        """One look, and what follows from it; of steps whose build is not known nobody is ended."""
        if now < self._quiet_until:
            return
        steps = self._steps()
        if sum(steps.values()) < HIGH * self._ceiling_bytes:
            return
        found = guilty(self._builds(steps), self._ceiling_bytes, self._slots)
        if found is None:
            return
        self._quiet_until = now + SETTLE_S
        told = f"{found.size_bytes / 1e9:.1f} of {self._ceiling_bytes / 1e9:.1f} GB"
        say("memory-short", held_mb=sum(steps.values()) // 1_000_000, most_mb=found.size_bytes // 1_000_000)
        self._end(
            found.key,
            f"The memory for all builds of this node ran short, and this one held more than its share: {told}. It was ended.",
        )

    def _steps(self) -> dict[str, int]:
        """Step to bytes."""
        found = {}
        for slice_ in self._slices:
            for stat in slice_.glob(f"{PREFIX}-*.scope/memory.stat"):
                id = stat.parent.name.removeprefix(f"{PREFIX}-").removesuffix(".scope")
                try:
                    found[id] = held(stat.read_text(), _charged(stat.parent))
                except (OSError, ValueError):
                    continue  # it has just ended
        return found

    def _builds(self, steps: dict[str, int]) -> list[Used]:
        builds: dict[str, int] = {}
        for id, size in steps.items():
            try:
                key = key_of(json.loads((self._tasks / id / "config.json").read_text()))
            except (OSError, ValueError, KeyError, TypeError):
                continue
            if key:
                builds[key] = builds.get(key, 0) + size
        return [Used(key, size) for key, size in builds.items()]


def _charged(scope: Path) -> int:
    """By cgroup v2 or v1."""
    for name in ("memory.current", "memory.usage_in_bytes"):
        with suppress(FileNotFoundError):
            return int((scope / name).read_text())
    return 0
