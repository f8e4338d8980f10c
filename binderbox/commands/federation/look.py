"""Looking at the federation: what `federation status`, `check` and `ramp` do. Nothing here prints.

status(Asked) -> FederationStatus
check_member(given, Asked, Progress) -> MemberCheck ramp(name, steps, Asked) -> Ramp
"""

from __future__ import annotations

from dataclasses import replace

from binderbox.commands.federation.ask import Asked, ask_federation, unknown_member
from binderbox.errors import UsageError
from binderbox.federation.following.launches import parse_launches
from binderbox.federation.members.observed import Ask
from binderbox.federation.members.ramp import Ramp, decide, parse_steps
from binderbox.federation.members.status import FederationStatus, make_status, pods_and_quota, reference_of
from binderbox.federation.redirector.rules import judge_member
from binderbox.world.http import endpoints
from binderbox.world.http.endpoints import PUBLIC, Way

METRICS_S = 20.0
METRICS_BYTES = 20_000_000  # BinderHub counts launches by repository too: a busy member has a line for each


def status(asked: Asked, way: Way = PUBLIC) -> FederationStatus:
    """Every member on one screen."""
    return make_status(ask_federation(asked, way))


def ramp(name: str, steps: str, asked: Asked, way: Way = PUBLIC) -> Ramp:
    """Which of the steps is due for a member of the deployment repository. Raises UsageError for an unknown one."""
    assert asked.deploy is not None
    try:
        wanted = parse_steps(steps)
    except ValueError as error:
        raise UsageError(
            str(error), remedy=f"binderbox federation ramp {name} 5,15,30,50 --deploy-repo PATH"
        ) from error
    found = ask_federation(asked, way)
    entry = found.config.host(name)
    if entry is None:
        raise unknown_member(name, found.config)
    seen = found.observed[name]
    (metrics,) = endpoints.ask_all(
        [Ask(f"{entry.url}/metrics", METRICS_S, "text", most_bytes=METRICS_BYTES)], way
    )
    reference = reference_of(found)
    # a member of weight 0 is judged as if it had one, else its ramp could never begin
    standing = judge_member(replace(entry, weight=max(entry.weight, 1)), seen.seen, reference, found.config)
    pods, quota = pods_and_quota(seen.health)
    return decide(
        found.config,
        name,
        wanted,
        standing=standing,
        active=[one.name for one in make_status(found).members if one.active],
        deployed=found.deployed.get(name) if found.deployed else None,
        launches=None if metrics.fault else parse_launches(metrics.text),
        pods=pods,
        quota=quota,
    )
