"""Changes of a member: weight, drain, leave. Nothing here prints, and nothing is ever pushed."""

from __future__ import annotations

import shlex
from dataclasses import replace

from binderbox.commands.federation.ask import Asked, ask_federation, unknown_member
from binderbox.commands.federation.writing import Edited, Place, edited, lines_of, read_tree, written
from binderbox.federation.deployrepo import edits, texts
from binderbox.federation.deployrepo.banner import STEP as THANKS_STEP
from binderbox.federation.deployrepo.change import Change
from binderbox.federation.deployrepo.tree import redirector_config
from binderbox.federation.deployrepo.words import checked_weight
from binderbox.federation.members.effect import effect
from binderbox.world.git.clones import opened


def weight(name: str, value: str, why: str, place: Place) -> Edited:
    """One changed line; without a deployment repository only its effect."""
    wanted = checked_weight(value)
    if not place.source:
        return _effect_only(name, wanted, place)
    return edited(place, f"weight-{name}-{wanted}", name, lambda tree: edits.weight(tree, name, wanted, why))


def drain(name: str, why: str, place: Place) -> Edited:
    """The weight 0, on a branch of its own name."""
    if not place.source:
        return _effect_only(name, 0, place)
    return edited(place, f"drain-{name}", name, lambda tree: edits.weight(tree, name, 0, why))


def leave(name: str, sponsor_url: str, place: Place) -> Edited:
    """The reverse of a join."""
    if not place.source:
        return _effect_only(name, None, place)
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        entry = redirector_config(tree).host(name)
        lines = lines_of(checkout, start, name, entry.url if entry else "")
        change = edits.leave(tree, name, sponsor_url, lines)
        done = written(checkout, start, f"leave-{name}", name, tree, change, place)
    steps = texts.leave_steps(Change({}, done.title, done.body, done.steps))
    body = texts.pull_request(Change({}, done.title, done.body), steps)
    return place.keep_body(replace(done, steps=steps, body=body, notes=(*done.notes, *_thanked_still(done))))


def _thanked_still(done: Edited) -> tuple[str, ...]:
    """What to type when the sponsor turns out to be thanked: the branch that is there would be in the way."""
    if not done.branch or all(step.done for step in done.steps if step.what == THANKS_STEP):
        return ()
    where = shlex.quote(done.checkout)
    return (
        f"to take somebody out of the banner too: git -C {where} branch -D {done.branch} && "
        f"binderbox federation leave {done.name} --sponsor-url URL --deploy-repo {where}",
    )


def _effect_only(name: str, wanted: int | None, place: Place) -> Edited:
    """What a weight would do (None: leaving), by the redirector's own list; nothing is written."""
    found = ask_federation(Asked(place.federation), place.way)
    before = found.config
    host = before.host(name)
    if host is None:
        raise unknown_member(name, before, found.out or ())
    if host.prime and not wanted:
        edits.refuse_prime(name, leaving=wanted is None)
    after = (
        replace(before, hosts=tuple(one for one in before.hosts if one is not host))
        if wanted is None
        else before.with_weight(name, wanted)
    )
    what = (
        f"Take {name} out of the federation"
        if wanted is None
        else f"Weight of {name} from {host.weight:g} to {wanted}"
    )
    note = f"nothing was written: members that are out are not in this list ({place.federation}), and a commit needs --deploy-repo"
    told = effect(before, after, found.observed)
    return Edited(name, False, "", "", "", (), what, "", "", told, (), (note,))
