"""What `federation ramp` does: ask, remember, and say which weight is due. Nothing here prints.

read the last commit -> ask the members -> from which launches on is counted -> decide
"""

from __future__ import annotations

import re

from binderbox.commands.federation.ask import Asked, ask_federation, counted_of, unknown_member
from binderbox.commands.federation.writing import Place
from binderbox.errors import UsageError
from binderbox.federation.deployrepo.tree import CONFIG, WANTED, make_tree, redirector_config, weight_in
from binderbox.federation.members import noted
from binderbox.federation.members.ramp import Ramp, decide, parse_steps
from binderbox.federation.members.status import make_status, pods_and_quota, reference_of
from binderbox.federation.redirector.rules import judge_member
from binderbox.world.git import history
from binderbox.world.git.clones import opened

PAST = 300  # commits of the configuration's file: about three years of mybinder.org


def ramp(name: str, steps: str, place: Place) -> Ramp:
    """Which of the steps is due for a member of the deployment repository. Raises UsageError for an unknown one."""
    try:
        wanted = parse_steps(steps)
    except ValueError as error:
        raise UsageError(
            str(error), remedy=f"binderbox federation ramp {name} 5,15,30,50 --deploy-repo PATH"
        ) from error
    with opened(place.source, place.checkout, whole=True) as checkout:
        config = redirector_config(make_tree(*checkout.read(checkout.head(), WANTED)))
        entry = config.host(name)
        if entry is None:
            raise unknown_member(name, config)
        found = ask_federation(Asked(place.federation, config, place.source), place.way)
        now = counted_of(entry, place.way)
        key = f"ramp/{re.sub('[^A-Za-z0-9-]', '_', name)}"
        was = noted.parse(history.recalled(checkout, key))
        first = False
        if not noted.settled(was, entry.weight):
            weights = (weight_in(one.content, name) for one in history.past(checkout, CONFIG, PAST))
            first = noted.is_first(weights, entry.weight)
        used = (found.deployed or {}).get(name)
        is_ = noted.remember(was, entry.weight, used, now, first=first)
        if place.write and is_ is not None and is_ != was:
            history.remember(checkout, key, noted.render(is_))
    seen = found.observed[name]
    reference = reference_of(found)
    # a member of weight 0 is judged as if it had one, else its ramp could never begin
    judged = config.weighed.host(name)
    assert judged is not None
    standing = judge_member(judged, seen.seen, reference, found.config)
    pods, quota = pods_and_quota(seen.health)
    return decide(
        config,
        name,
        wanted,
        standing=standing,
        active=[one.name for one in make_status(found).members if one.active],
        deployed=found.deployed,
        now=now,
        begun=is_.counted if is_ is not None and noted.settled(is_, entry.weight) else None,
        pods=pods,
        quota=quota,
        reference=reference is not None,
        elsewhere=found.elsewhere(name),
    )
