"""Steps of builds that run on the node: whose build each is of, what it has written, and its end.

A step is a task of containerd in a scope of the builds' slice. BuildKit does not say of which build; what it puts into a
step's environment and leaves out of its cache's keys is the proxy's variables (solver/llbsolver/ops/exec.go), so the
door adds a name to `no_proxy` that nobody has, and reads it in the task's bundle, where no step can write.

A containerd that is started anew may not take a task up: it then takes away the task's bundle, cannot delete what runs, and
forgets it ("cleaning leaked shim process", core/runtime/v2/shim_load.go). The scope says that it still runs.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MARK = re.compile(r"\bbbx-build-([0-9a-f]{32})\.invalid\b")
# Of the scopes: buildkitd.toml's defaultCgroupParent. cryptnono tells a container by `containerd-<id>.scope` at the end of a
# process's cgroup (its lookup_container.py), and then logs the whole of it, so that a step is known from a host's process.
PREFIX = "bbx-containerd"
GONE_WITHIN_S = 10.0


def mark(key: str) -> str:
    """The name that is in `no_proxy` of all steps of one build; `key` is 32 hexadecimal digits."""
    return f"bbx-build-{key}.invalid"


@dataclass(frozen=True)
class Step:
    """`key` is its build's, or nothing; `since` when it began, in seconds since 1970; `places` are the node's directories
    that it can write into, as far as its mounts tell; `network` the name that the network's plugins know it by."""

    id: str
    key: str
    since: float
    places: tuple[str, ...] = ()
    network: str = ""


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
        places = (f"{bundle.parent}/rootfs", *_bound(spec))
        found.append(Step(bundle.parent.name, key_of(spec), since, places, _network(spec)))
    return found


def _bound(spec: dict[str, Any]) -> list[str]:
    """Where `RUN --mount` of type cache, or of type bind with `rw`, leads: a snapshot, or a mount that BuildKit made of one."""
    found = []
    for mount in spec.get("mounts") or ():
        options = mount.get("options") or ()
        if mount.get("type") == "bind" and "ro" not in options:
            found.append(str(mount.get("source")))
    return found


def _network(spec: dict[str, Any]) -> str:
    """BuildKit names a network's namespace, and the file that holds it, as it names it to the plugins (cniprovider/cni.go)."""
    found = (one for one in spec["linux"].get("namespaces") or () if one.get("type") == "network")
    return next((os.path.basename(str(one.get("path", ""))) for one in found), "")


def key_of(spec: dict[str, Any]) -> str:
    """BuildKit's own comes last, whatever a Dockerfile has set."""
    told = [one for one in (spec.get("process") or {}).get("env") or () if str(one).startswith("no_proxy=")]
    marked = MARK.search(told[-1]) if told else None
    return marked[1] if marked else ""


def restarted(sockets: Iterable[str]) -> float:
    """When the last of these sockets was made, in seconds since 1970; 0 where none is there."""
    made = [0.0]
    for path in sockets:
        with suppress(OSError):
            made.append(os.stat(path).st_mtime)
    return max(made)


def forgotten(tasks: Path, slices: Iterable[Path]) -> list[Step]:
    """Those that run in a scope, below one of the directories of the builds' slice, and that containerd has no task of."""
    found = {}
    for slice_ in slices:
        for scope in slice_.glob(f"{PREFIX}-*.scope"):
            id = scope.name.removeprefix(f"{PREFIX}-").removesuffix(".scope")
            with suppress(OSError):
                if not (tasks / id).exists():
                    found[id] = Step(id, "", scope.stat().st_mtime)
    return list(found.values())


def shims_of(id: str, proc: Path = Path("/proc")) -> list[int]:
    """Processes of containerd's shims that were started for a task."""
    found = []
    for one in proc.glob("[0-9]*/cmdline"):
        with suppress(OSError):
            words = one.read_bytes().split(b"\0")
            if b"/containerd-shim-" in words[0] and id.encode() in words:
                found.append(int(one.parent.name))
    return found


class Steps:
    """The node's steps, by `command` that runs one of the node's programs to its end, whatever that is.

    + slices: directories of the builds' slice in the cgroups' file system
    + freezer: its directory in cgroup v1's hierarchy of the freezer
    """

    def __init__(
        self,
        tasks: Path,
        slices: Iterable[Path],
        ctr: Sequence[str],
        command: Callable[[Sequence[str]], object],
        freezer: Path = Path("/nonexistent"),
    ) -> None:
        self._freezer = freezer
        self.tasks = tasks
        self._slices = tuple(slices)
        self.ctr = tuple(ctr)
        self._command = command

    def of(self, key: str) -> list[Step]:
        return [one for one in running(self.tasks) if one.key == key]

    def kill(self, key: str) -> bool:
        """Kill the processes of a build's steps, which then fail; whether there were any."""
        found = self.of(key)
        for step in found:
            self._kill(step)
        return bool(found)

    def unowned(self, builds: set[str], restarted: float, older_than_s: float) -> list[Step]:
        """Those that no build of `builds` can have, and that are not just being begun.

        + restarted: when BuildKit, or the containerd below it, was started last, in seconds since 1970: neither takes up what
          ran before

        BuildKit runs a step that is the same in two builds once, under the first one's mark, and goes on with it for the
        second when the first ends: so while anything is built, a step that began since then may have an owner. Whoever
        asks BuildKit beside the door marks nothing; the time of such a step ends with its scope's. What containerd has
        forgotten is nobody's.
        """
        before = time.time() - older_than_s
        return [
            one
            for one in running(self.tasks)
            if one.key and one.since < before and (one.since < restarted or not builds)
        ] + [one for one in forgotten(self.tasks, self._slices) if one.since < before]

    def end(self, step: Step) -> bool:
        """Kill all of its processes, and take its task and container away; whether nothing is left."""
        deadline = time.monotonic() + GONE_WITHIN_S
        shims = [] if (self.tasks / step.id).exists() else shims_of(step.id)
        while self._is_there(step):
            self._kill(step)
            self._try([*self.ctr, "tasks", "delete", "--force", step.id])
            self._try([*self.ctr, "containers", "delete", step.id])
            if time.monotonic() > deadline:
                return False
            time.sleep(0.1)
        for shim in shims:  # nobody is left who would end it
            with suppress(OSError):
                os.kill(shim, signal.SIGKILL)
        return True

    def _is_there(self, step: Step) -> bool:
        scopes = (one / f"{PREFIX}-{step.id}.scope" for one in self._slices)
        return any(path.exists() for path in (self.tasks / step.id, *scopes))

    def _kill(self, step: Step) -> None:
        scope = f"{PREFIX}-{step.id}.scope"
        self._try(["systemctl", "kill", "--signal=KILL", scope])
        # runc freezes a step while it sets its devices; one that is killed then leaves it so, and on cgroup v1 what is
        # frozen does not die (runc libcontainer/cgroups/systemd/v1.go)
        with suppress(OSError):
            state = self._freezer / scope / "freezer.state"
            if state.read_text().strip() != "THAWED":
                state.write_text("THAWED")

    def _try(self, words: Sequence[str]) -> None:
        """What is already gone is not there to be ended."""
        with suppress(OSError, subprocess.SubprocessError):
            self._command(words)
