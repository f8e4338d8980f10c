"""Keeps what the firewall knows of pods equal to what the API server says; run on the node as a unit of its own.

All pods share one bridge and one network, so the firewall can tell the hub from a user only by address, and only
Kubernetes knows addresses. This program watches pods and writes into nftables' sets which addresses are the member's own
and which group each other one is of, a build step's among them (builds.py). Whatever is not in them is untrusted, so what
this program does not know it does not open. Which pods count is decided in known.py.

- the API server out of reach: the sets stay as they are, no pod can be made meanwhile; the unit stopped: they are emptied;
- a program that hangs leaves them as they were, with addresses that others may have by now;
- the sets are compared with the kernel's when the table is another one, because loading the firewall's rules empties them,
  and each few seconds, because anybody may empty one alone;
- host ports are written beside them, because a flush takes those of CNI's portmap for good;
- so is the whole table: `nft flush ruleset`, or a reload of nftables.service, takes every table of everybody away.
  What is not there as it was loaded is loaded again, before anything else is done.

The list of pods is read again at least once a minute. Standard library only: it runs with the node's own Python.
"""

from __future__ import annotations

import argparse
import base64
import http.client
import json
import re
import ssl
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from ipaddress import ip_network
from pathlib import Path
from typing import Any

from binderbox.parts.firewall.keeper.builds import Builds
from binderbox.parts.firewall.keeper.kernel import Kernel
from binderbox.parts.firewall.keeper.known import Known, Named, PodSet, Rules
from binderbox.parts.firewall.keeper.refusals import Refusals
from binderbox.parts.systemd import notify
from binderbox.parts.telling import Telling
from binderbox.parts.whole import replace as write_whole

WATCH_S = 60  # then the list is read again
CHECK_S = 1
COMPARE_S = 5  # what sets hold: a process for each
REMEMBERED_S = 60.0  # who had an address
LOOK_S = 0.2  # at what costs nothing to look at
RETRY_S = 1
STATUS_EVERY_S = 5


class Api:
    """The list and the watch of all pods, with the token of a service account that can read pods only."""

    def __init__(self, server: str, secret_file: str) -> None:
        self._url = f"{server}/api/v1/pods"
        self._secret_file = secret_file

    def _open(self, query: str, timeout_s: float) -> http.client.HTTPResponse:
        with open(self._secret_file, encoding="utf-8") as secret:
            data = json.load(secret)["data"]
        token, authority = (base64.b64decode(data[key]).decode() for key in ("token", "ca.crt"))
        request = urllib.request.Request(self._url + query, headers={"Authorization": f"Bearer {token}"})
        context = ssl.create_default_context(cadata=authority)
        answer: http.client.HTTPResponse = urllib.request.urlopen(request, timeout=timeout_s, context=context)
        return answer

    def list(self) -> tuple[list[dict[str, Any]], str]:
        with self._open("", 30) as answer:
            found = json.load(answer)
        return found["items"] or [], found["metadata"]["resourceVersion"]

    def watch(self, version: str) -> Iterator[dict[str, Any]]:
        with self._open(
            f"?watch=1&resourceVersion={version}&timeoutSeconds={WATCH_S}", WATCH_S + 15
        ) as answer:
            for line in answer:
                yield json.loads(line)


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


def follow(api: Api, pods: PodSet, keeper: Keeper) -> None:
    """Read the list, then the watch, for ever."""
    while True:
        try:
            items, version = api.list()
            pods.replace(items)
            keeper.want(pods)
            for event in api.watch(version):
                pods.hear(event)
                keeper.want(pods)
        except (OSError, ValueError, KeyError, http.client.HTTPException) as error:
            say(f"the API server does not say which pods there are: {error}")
            time.sleep(RETRY_S)


def show(status: Path, telling: Telling) -> None:
    """Say again and again what was told in the last day: the checks read it, and what is old leaves it."""
    while True:
        write_whole(status, {"updated": round(time.time()), "told": telling.recent()})
        time.sleep(STATUS_EVERY_S)


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="keep the firewall's set of system pods")
    parser.add_argument("--api", default="https://127.0.0.1:6443")
    parser.add_argument(
        "--secret", required=True, help="the service account's secret as JSON (kubectl get -o json)"
    )
    parser.add_argument("--rules", required=True, help="the file that makes the table")
    parser.add_argument("--pod-cidr", required=True)
    parser.add_argument("--build-interface", required=True, help="the bridge of build steps")
    parser.add_argument("--tasks", required=True, type=Path, help="containerd's bundles of what runs")
    parser.add_argument("--leases", required=True, type=Path, help="of addresses of the builds' network")
    parser.add_argument("--door-status", required=True, type=Path)
    parser.add_argument("--status", required=True, type=Path, help="where it says what it had to refuse")
    parser.add_argument("--told", required=True, type=Path, help="the same, kept through restarts")
    parser.add_argument("--audit", required=True, type=Path)
    parser.add_argument(
        "--namespace", action="append", default=[], help="all pods of it are the member's own"
    )
    parser.add_argument("--hub-namespace", required=True)
    parser.add_argument(
        "--component", action="append", default=[], help="label of the member's own pods there"
    )
    given = parser.parse_args(argv)
    rules = Rules(given.pod_cidr, tuple(given.namespace), given.hub_namespace, tuple(given.component))
    own = re.compile(
        rf"git://{re.escape(str(ip_network(given.pod_cidr)[1]))}/[0-9a-f]{{16}}"
    )  # launch/sample.py
    telling = Telling(given.told, given.audit, "firewall")
    builds = Builds(given.tasks, given.leases, given.door_status)
    keeper = Keeper(Kernel(given.rules, given.build_interface), builds, Refusals(telling.tell, own))
    threading.Thread(target=keeper.run, daemon=True).start()
    threading.Thread(target=show, args=(given.status, telling), daemon=True).start()
    follow(Api(given.api, given.secret), PodSet(rules), keeper)


if __name__ == "__main__":
    main()
