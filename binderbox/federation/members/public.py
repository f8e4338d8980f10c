"""What the redirector itself tells everybody: who is active now, and by its metrics who else there is and why not.

Routes and gauges: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py. It runs as two replicas that each
keep a state of their own, and one answer is that of one of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from binderbox.decide import urls
from binderbox.federation.redirector.config import RedirectorConfig, read_config
from binderbox.federation.redirector.rules import UNKNOWN
from binderbox.output.printable import printable

NAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,61}[A-Za-z0-9])?")  # of a helm release, with room
SERIES = re.compile(
    r"^federation_health(?P<check>_check)?\{(?P<labels>[^}]*)\} (?P<value>[0-9]+(\.[0-9]+)?(e[+-]?[0-9]+)?)$",
    re.M,
)
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"')


@dataclass(frozen=True)
class Active:
    """The active members with the chart's own timing and headroom, which the route does not tell; and what is odd.

    `names` are those of all, `odd` says why an entry is not in `config`.
    """

    config: RedirectorConfig
    names: frozenset[str]
    odd: tuple[str, ...] = ()


def parse_active_hosts(body: Any) -> Active:
    """What the redirector's route /active_hosts answers.

    Raises ValueError with all that is wrong where no member is left: this is somebody else's answer.
    """
    hosts = body.get("active_hosts") if isinstance(body, Mapping) else None
    if not isinstance(hosts, Mapping):
        raise ValueError('expected {"active_hosts": {NAME: {url, weight, ...}}}')
    named = {name: entry for name, entry in hosts.items() if NAME.fullmatch(str(name))}
    config, faults = read_config({"hosts": named})
    if odd := [str(name) for name in hosts if name not in named]:
        faults = (*faults, f"these are no names of members: {', '.join(odd)}")
    if faults and not config.hosts:
        raise ValueError("\n".join(map(printable, faults)))
    return Active(config, frozenset(map(str, named)), tuple(printable(one) for one in faults))


def parse_out(metrics: str, active: frozenset[str]) -> dict[str, str]:
    """Members that the metrics know and that are not active, each with the redirector's word for why.

    A reason's gauge is never cleared: of several old ones none can be told to be today's. The gauges of single checks
    are current, so one of these that says no comes first.
    """
    checks: dict[str, str] = {}
    reasons: dict[str, set[str]] = {}
    for found in SERIES.finditer(metrics):
        labels = dict(LABEL.findall(found["labels"]))
        member, says_no = labels.get("member", ""), float(found["value"]) == 0
        if not NAME.fullmatch(member) or member in active:
            continue
        known = reasons.setdefault(member, set())
        if found["check"] and says_no:
            checks.setdefault(member, printable(labels.get("check", "")) or UNKNOWN)
        elif says_no:
            known.add(printable(labels.get("reason", "")) or UNKNOWN)
    return {
        member: checks.get(member) or (known.copy().pop() if len(known) == 1 else UNKNOWN)
        for member, known in reasons.items()
    }


def is_prime(active_hosts: Any, binder_url: str) -> bool:
    """Whether the redirector that gave this answer of /active_hosts has the member as a prime.

    Raises ValueError for an answer that is none. A member that is out of rotation is not in it.
    """
    hosts = active_hosts.get("active_hosts") if isinstance(active_hosts, dict) else None
    if not isinstance(hosts, dict) or not all(isinstance(one, dict) for one in hosts.values()):
        raise ValueError("it holds no mapping `active_hosts` of members")
    ours = _place(binder_url)
    return any(one.get("prime") is True and _place(str(one.get("url", ""))) == ours for one in hosts.values())


def _place(url: str) -> tuple[str, int] | None:
    try:
        return urls.place(url)[:2]
    except ValueError:
        return None
