"""Many people at once, over repositories that the node knows and ones it never built; what became of each launch."""

from __future__ import annotations

import re
import statistics
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from binderbox import layout
from binderbox.commands.connect import opened
from binderbox.commands.serve_sample import served
from binderbox.errors import NoAnswer
from binderbox.member.model import Networks
from binderbox.output.requests import Connection
from tests.e2e.federated import authority, kubectl
from tests.e2e.visitors import TARGETS, Visitors
from tests.rig.client import DOMAIN
from tests.rig.host import RigHost
from tests.rig.images import SAMPLE_BASE

KNOWN, NEW, LAUNCHES = 10, 5, 30
REFUSED = re.compile(r"\b429 (?:GET|POST)\b")  # as tornado and JupyterHub log an answer


@dataclass(frozen=True)
class Storm:
    """`seconds` from the click to the notebook, one for each launch that got there, ascending.

    `servers` counts the pods that were started for them, `refused` the answers 429 of hub and BinderHub.
    """

    seconds: tuple[float, ...]
    failed: tuple[str, ...]
    servers: int
    refused: int

    def at(self, percent: int) -> float:
        """The seconds within which so many percent were ready."""
        return round(statistics.quantiles(self.seconds, n=100, method="inclusive")[percent - 1], 1)


@contextmanager
def crowd(host: RigHost, *, known: int = KNOWN, new: int = NEW) -> Iterator[list[Visitors]]:
    """A visitor for each repository; the first `known` were built and launched already."""
    with opened(Connection(host.alias, host.ssh_config)) as there, ExitStack() as stack:
        ca = authority(host)
        visitors = []
        for _ in range(known + new):
            url = stack.enter_context(served(there, SAMPLE_BASE, TARGETS, Networks().pod_gateway))
            visitors.append(Visitors(f"https://{DOMAIN}", host.address, ca, url))
            stack.callback(visitors[-1].web.close)
        with ThreadPoolExecutor(2) as people:
            list(people.map(lambda one: one.once(), visitors[:known]))
        yield visitors


def storm(host: RigHost, visitors: list[Visitors], *, launches: int = LAUNCHES) -> Storm:
    """All of them at once; each repository gets its share of launches, and each launch ends its server."""
    before, refused = _servers(host), _refused(host)
    with ThreadPoolExecutor(launches) as people:
        ends = [people.submit(_launch, visitors[n % len(visitors)]) for n in range(launches)]
        found = [end.result() for end in ends]
    return Storm(
        tuple(sorted(one for one in found if isinstance(one, float))),
        tuple(one for one in found if isinstance(one, str)),
        len(_servers(host) - before),
        _refused(host) - refused,
    )


def _launch(visitor: Visitors) -> float | str:
    started = time.monotonic()
    try:
        ready = visitor.once()
    except NoAnswer as error:
        return f"after {time.monotonic() - started:.0f} s: {error}"
    return ready.seconds["ready"]


def _servers(host: RigHost) -> set[str]:
    """Every pod of a user that was scheduled within the last hour, by the scheduler's own events."""
    of = ["-n", layout.HUB_NAMESPACE, "--field-selector", "reason=Scheduled"]
    events = [event["involvedObject"] for event in kubectl(host, "get", "events", *of)["items"]]
    return {one["uid"] for one in events if one["name"].startswith("jupyter-")}


def _refused(host: RigHost) -> int:
    of = ["-n", layout.HUB_NAMESPACE, "--prefix", "--tail=-1", "-l", "component in (hub, binder)"]
    return len(REFUSED.findall(host.exec([layout.K3S, "kubectl", "logs", *of])))
