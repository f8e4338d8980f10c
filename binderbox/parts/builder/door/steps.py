"""Steps of builds that run on the node: whose build each is of, what it has written, and its end.

A step is a task of containerd in a scope of the builds' slice. BuildKit does not say of which build; what it puts into a
step's environment and leaves out of its cache's keys is the proxy's variables (solver/llbsolver/ops/exec.go), so the
door adds a name to `no_proxy` that nobody has, and reads it in the task's bundle, where no step can write.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = re.compile(r"\bbbx-build-([0-9a-f]{32})\.invalid\b")
PREFIX = "bbx"  # of the scopes: buildkitd.toml's defaultCgroupParent
LOOK_S = 2.0  # of a walk through what one step has written; what is counted by then is told
GONE_WITHIN_S = 10.0
BLOCK = 512  # stat(2)


def mark(key: str) -> str:
    """The name that is in `no_proxy` of all steps of one build; `key` is 32 hexadecimal digits."""
    return f"bbx-build-{key}.invalid"


@dataclass(frozen=True)
class Step:
    """`key` is its build's, or nothing; `since` when it began, in seconds since 1970."""

    id: str
    key: str
    since: float


def running(tasks: Path) -> list[Step]:
    """All steps that containerd has a task of, below its directory of bundles."""
    found = []
    for bundle in tasks.glob("*/config.json"):
        try:
            spec = json.loads(bundle.read_text())
            path = str(spec["linux"]["cgroupsPath"])
            since = bundle.stat().st_mtime
        except (OSError, ValueError, KeyError, TypeError):
            continue  # it ends, or begins
        slice_, _, rest = path.partition(":")
        if not slice_.endswith(".slice") or not rest.startswith(f"{PREFIX}:"):
            continue
        found.append(Step(bundle.parent.name, _key(spec), since))
    return found


def _key(spec: dict[str, Any]) -> str:
    """BuildKit's own comes last, whatever a Dockerfile has set."""
    told = [one for one in (spec.get("process") or {}).get("env") or () if str(one).startswith("no_proxy=")]
    marked = MARK.search(told[-1]) if told else None
    return marked[1] if marked else ""


def written(step: Step, tasks: Path, mounts: str) -> tuple[int, int]:
    """(bytes, inodes) that a step has written so far; `mounts` is the text of /proc/self/mountinfo."""
    upper = _upper(f"{tasks / step.id}/rootfs", mounts)
    if not upper:
        return 0, 0
    size = inodes = 0
    deadline = time.monotonic() + LOOK_S
    for _, directories, files, here in os.fwalk(upper, follow_symlinks=False):
        for name in (*files, *directories):
            with suppress(OSError):
                size += os.stat(name, dir_fd=here, follow_symlinks=False).st_blocks * BLOCK
                inodes += 1
        if time.monotonic() > deadline:
            break
    return size, inodes


def _upper(rootfs: str, mounts: str) -> str:
    """The overlay's own directory of what is mounted there."""
    for line in mounts.splitlines():
        words = line.split()
        if len(words) > 9 and words[4] == rootfs:
            options = words[-1].split(",")
            return next((one.removeprefix("upperdir=") for one in options if one.startswith("upperdir=")), "")
    return ""


def restarted(sockets: Iterable[str]) -> float:
    """When the last of these sockets was made, in seconds since 1970; 0 where none is there."""
    made = [0.0]
    for path in sockets:
        with suppress(OSError):
            made.append(os.stat(path).st_mtime)
    return max(made)


class Steps:
    """The node's steps, by `command` that runs one of the node's programs to its end, whatever that is."""

    def __init__(self, tasks: Path, ctr: Sequence[str], command: Callable[[Sequence[str]], object]) -> None:
        self.tasks = tasks
        self._ctr = tuple(ctr)
        self._command = command

    def of(self, key: str) -> list[Step]:
        return [one for one in running(self.tasks) if one.key == key]

    def unowned(self, builds: set[str], restarted: float, older_than_s: float) -> list[Step]:
        """Those that no build of `builds` can have, and that are not just being begun.

        + restarted: when BuildKit, or the containerd below it, was started last, in seconds since 1970: neither takes up what
          ran before

        BuildKit runs a step that is the same in two builds once, under the first one's mark, and goes on with it for the
        second when the first ends: so while anything is built, a step that began since then may have an owner. Whoever
        asks BuildKit beside the door marks nothing; the time of such a step ends with its scope's.
        """
        before = time.time() - older_than_s
        return [
            one
            for one in running(self.tasks)
            if one.key and one.since < before and (one.since < restarted or not builds)
        ]

    def end(self, step: Step) -> bool:
        """Kill all of its processes, and take its task and container away; whether nothing is left."""
        deadline = time.monotonic() + GONE_WITHIN_S
        while (self.tasks / step.id).exists():
            self._try(["systemctl", "kill", "--signal=KILL", f"{PREFIX}-{step.id}.scope"])
            self._try([*self._ctr, "tasks", "delete", "--force", step.id])
            self._try([*self._ctr, "containers", "delete", step.id])
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        return True

    def _try(self, words: Sequence[str]) -> None:
        """What is already gone is not there to be ended."""
        with suppress(OSError, subprocess.SubprocessError):
            self._command(words)
