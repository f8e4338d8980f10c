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
import http.client
import re
import threading
import time
from collections.abc import Sequence
from ipaddress import ip_network
from pathlib import Path

from binderbox.parts.firewall.keeper.api import Api
from binderbox.parts.firewall.keeper.builds import Builds
from binderbox.parts.firewall.keeper.keeping import RETRY_S, Keeper, say
from binderbox.parts.firewall.keeper.kernel import Kernel
from binderbox.parts.firewall.keeper.known import PodSet, Rules
from binderbox.parts.firewall.keeper.refusals import Refusals
from binderbox.parts.telling import Telling
from binderbox.parts.whole import replace as write_whole

STATUS_EVERY_S = 5


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
