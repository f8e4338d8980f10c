"""Of which build each address of the builds' network is, from what the node has of it.

BuildKit gives a network to one step after another, so an address says nothing by itself. Which step has which network
stands in containerd's bundle of the step, with the mark of its build (door/steps.py); which address a network has, in the
leases of CNI's host-local; and which repository a build is of, in the door's status.

Standard library only: it travels with the keeper.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from ipaddress import ip_address
from pathlib import Path

from binderbox.parts.builder.door import steps
from binderbox.parts.firewall.keeper.known import Named


class Builds:
    """What was read last; a directory that did not change is not read again.

    + tasks: containerd's bundles
    + leases: host-local's directory of the builds' network
    + status: the file that the door writes
    """

    def __init__(self, tasks: Path, leases: Path, status: Path) -> None:
        self._tasks, self._leases, self._status = tasks, leases, status
        self._seen: tuple[int, int, int] | None = None
        self._named: dict[str, Named] = {}

    def changed(self) -> bool:
        """Whether a step came or went, or a build, since they were read."""
        return self._now() != self._seen

    def named(self) -> Mapping[str, Named]:
        """By address, the steps that run."""
        now = self._now()
        if now != self._seen:
            self._named = self._read()
            self._seen = now if self._is_whole() else None
        return self._named

    def _is_whole(self) -> bool:
        """Whether each bundle has what is read of it: a step that just begins has not."""
        try:
            return all((one / "config.json").exists() for one in self._tasks.iterdir())
        except OSError:
            return True

    def _now(self) -> tuple[int, int, int]:
        return _written(self._tasks), _written(self._leases), _written(self._status)

    def _read(self) -> dict[str, Named]:
        networks = {one.network: one for one in steps.running(self._tasks) if one.network}
        repositories = self._repositories() if networks else {}
        found = {}
        for lease in self._leases.glob("*.*.*.*"):
            with suppress(OSError, ValueError, IndexError):
                address = str(ip_address(lease.name))
                if step := networks.get(lease.read_text().split()[0]):
                    name = f"a step of build {step.key}" if step.key else f"step {step.id}"
                    found[address] = Named(name, repositories.get(step.key, ""))
        return found

    def _repositories(self) -> dict[str, str]:
        """By a build's key."""
        try:
            builds = json.loads(self._status.read_text())["builds"]
            return {str(one["key"]): str(one["repository"]) for one in builds}
        except (OSError, ValueError, KeyError, TypeError):
            return {}


def _written(path: Path) -> int:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return 0
