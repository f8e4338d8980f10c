"""What the redirector does with its configuration at its start, and what stops it there.

Source: mybinder.org-deploy 95860dbc, images/federation-redirect/app.py.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from binderbox.federation.redirector.balance import in_rotation, primes
from binderbox.federation.redirector.config import RedirectorConfig

# of the program itself; the chart's own values (mybinder/values.yaml) differ, and config.py has those
PROGRAM_DEFAULTS: Mapping[str, Any] = {
    "check": {"period": 10, "jitter": 0.1, "retries": 5, "timeout": 2, "failed_period": 300},
    "load_balancer": "rendezvous",
    "pod_headroom": 10,
    "host_cookie_age_hours": 4,
    "hosts": {},
}


def with_program_defaults(section: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration file of the redirector with what the program adds to it: keys of `check` one by one."""
    merged = {**PROGRAM_DEFAULTS, **section}
    return {**merged, "check": {**PROGRAM_DEFAULTS["check"], **(section.get("check") or {})}}


def start_faults(config: RedirectorConfig) -> tuple[str, ...]:
    """Why the redirector would end at its start, taking all of mybinder.org with it; () when it would not."""
    faults = [
        f"hosts.{name} is null: the redirector ends with KeyError when it reads that"
        for name in config.null_hosts
    ]
    if not primes(config):
        dropped = [one.name for one in config.hosts if one.prime and not one.weight > 0]
        if dropped:
            faults.append(
                f"the prime {' and '.join(dropped)} has weight 0 and is dropped, so no prime is left"
            )
        elif config.hosts:
            faults.append("no member has `prime: true`")
        else:
            faults.append("there is no member")
    return tuple(faults)


def start_doubts(config: RedirectorConfig) -> tuple[str, ...]:
    """What the redirector accepts and nobody wants: more than one prime, or members with the same address."""
    doubts = []
    marked = [one.name for one in config.hosts if one.prime]
    if len(marked) > 1:
        doubts.append(
            f"{len(marked)} members are prime ({', '.join(marked)}): the first serves the pages, and the versions of"
            " whichever was asked last are the reference"
        )
    for url, count in Counter(one.url for one in in_rotation(config)).items():
        if count > 1:
            same = ", ".join(one.name for one in in_rotation(config) if one.url == url)
            doubts.append(f"{same} have the same address {url}")
    return tuple(doubts)
