"""What each build under way has written, steps that have ended included, as far as somebody looked."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from . import steps
from .building import Running
from .guard import Grown

MOUNTS = Path("/proc/self/mountinfo")


class Growth:
    def __init__(self, tasks: Path, builds: Callable[[], Mapping[str, Running]]) -> None:
        self._tasks = tasks
        self._builds = builds
        self._seen: dict[str, dict[str, tuple[int, int]]] = {}  # build -> step -> bytes, inodes

    def look(self) -> list[Grown]:
        """Measure the steps that run now; BuildKit does not tell what those before them left."""
        builds, mounts = self._builds(), MOUNTS.read_text()
        self._seen = {key: self._seen.get(key, {}) for key in builds}
        running = steps.running(self._tasks)
        stepping = {step.key for step in running}
        for step in running:
            if step.key in builds:
                self._seen[step.key][step.id] = steps.written(step, self._tasks, mounts)
        return [
            Grown(
                key,
                one.began,
                sum(size for size, _ in self._seen[key].values()),
                sum(inodes for _, inodes in self._seen[key].values()),
                key not in stepping,
            )
            for key, one in builds.items()
        ]
