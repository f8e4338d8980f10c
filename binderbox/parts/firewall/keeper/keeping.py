"""The kernel's table and sets, kept equal to what is wanted. Standard library only: it travels with the keeper."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import replace

from binderbox.parts.firewall.keeper.builds import Builds
from binderbox.parts.firewall.keeper.kernel import Kernel
from binderbox.parts.firewall.keeper.known import Known, Named, PodSet
from binderbox.parts.firewall.keeper.refusals import Refusals
from binderbox.parts.systemd import notify

CHECK_S = 1
COMPARE_S = 5  # what sets hold: a process for each
REMEMBERED_S = 60.0  # who had an address
LOOK_S = 0.2  # at what costs nothing to look at
RETRY_S = 1


class Keeper:
    """Makes the kernel's set equal to the wanted one: at once when that changes, and every few seconds anyway."""

    def __init__(self, kernel: Kernel, builds: Builds, refusals: Refusals) -> None:
        self._kernel = kernel
        self._builds = builds
        self._refusals = refusals
        self._named: dict[str, Named] = {}
        self._lately: dict[str, tuple[float, Named]] = {}
        self._loaded: str | None = None  # the table as it was loaded last
        self._equal: tuple[str, Known] | None = None  # of which table, and to what, its sets were equal
        self._compared = 0.0
        self._written = kernel.written()
        self._wanted: Known | None = None
        self._changed = threading.Event()
        self._ready = False

    def want(self, pods: PodSet) -> None:
        self._named = pods.named()
        if (known := pods.known()) != self._wanted:
            self._wanted = known
            self._changed.set()

    def run(self) -> None:
        while True:
            deadline = time.monotonic() + CHECK_S
            while time.monotonic() < deadline and not self._builds.changed():
                if self._changed.wait(LOOK_S):
                    break
            self._changed.clear()
            try:
                self.ensure()
            except (OSError, ValueError, subprocess.SubprocessError) as error:
                say(f"the firewall's set cannot be written: {error}")
                time.sleep(RETRY_S)
                self._changed.set()

    def guard(self) -> str:
        """Load the table where it is gone, or is not what was loaded; who writes new rules into the file loads them, too.
        Returns which table it is, which another one of the same rules is not."""
        found, written = self._kernel.table(), self._kernel.written()
        if found is not None and self._loaded in (None, rules_of(found)):
            self._loaded = rules_of(found)
            return found
        self._kernel.load()
        loaded = self._kernel.table() or ""
        self._loaded = rules_of(loaded)
        if written == self._written:
            happened = "gone" if found is None else "changed by another program"
            say(f"the firewall's table was {happened}, and is loaded again")
        self._written = written
        return loaded

    def ensure(self) -> None:
        table = self.guard()
        if self._wanted is None:
            return
        builds = self._builds.named()
        groups = {(address, one.group) for address, one in builds.items()}
        wanted = replace(self._wanted, groups=self._wanted.groups | groups, steps=self._kernel.steps())
        if (table, wanted) != self._equal or time.monotonic() - self._compared > COMPARE_S:
            self._compare(wanted)
            self._equal, self._compared = (table, wanted), time.monotonic()
        self._refusals.hear(self._kernel.refused(), self._names({**self._named, **builds}))
        if not self._ready:
            self._ready = True
            notify("READY=1")

    def _compare(self, wanted: Known) -> None:
        """Make what the sets hold equal to it."""
        found = self._kernel.read()
        if found == wanted:
            return
        self._kernel.write(wanted)
        added, removed = wanted.addresses - found.addresses, found.addresses - wanted.addresses
        if added or removed:
            say(f"system pods: added {sorted(added)}, removed {sorted(removed)}")

    def _names(self, now: Mapping[str, Named]) -> Mapping[str, Named]:
        """Those who are there, and those who left a moment ago: a scan may be over within the second."""
        at = time.monotonic()
        self._lately |= {address: (at, one) for address, one in now.items()}
        self._lately = {key: found for key, found in self._lately.items() if at - found[0] < REMEMBERED_S}
        return {address: one for address, (_, one) in self._lately.items()}


def rules_of(table: str) -> str:
    """A table's text without the numbers that the kernel gives its objects anew each time it is loaded."""
    return re.sub(r" # handle \d+", "", table)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
