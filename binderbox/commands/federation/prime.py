"""What `federation prime` does: another member becomes the prime, if it is well and has the federation's versions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from binderbox.commands.federation.ask import observe
from binderbox.commands.federation.pairs import parse_pairs
from binderbox.commands.federation.writing import Edited, Place, read_tree, written
from binderbox.errors import RuleBroken
from binderbox.federation.deployrepo import edits
from binderbox.federation.deployrepo.tree import redirector_config
from binderbox.federation.members.candidate import uncompared, why_not
from binderbox.world.git.clones import opened

UNASKED = "nobody was asked: whether it is well, and has the versions of the prime, is not known"


def prime(name: str, weights: Sequence[str], why: str, place: Place) -> Edited:
    """Two changed lines, and those of the weights. Raises RuleBroken for a candidate that must not be the prime."""
    wanted = parse_pairs("--weight", weights)
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        change = edits.prime(tree, name, wanted, why)
        config = redirector_config(tree, several_primes=True)
        observed = observe(config.hosts, config.check.timeout_s, place.way) if place.ask else None
        if change.files and observed is not None and (found := why_not(config, name, observed)):
            raise RuleBroken(
                f"{name} must not become the prime: {found}; nothing was written",
                cause="pages, versions and the reference for all others would be its own",
                remedy=f"binderbox federation check {name} --deploy-repo {place.source}",
            )
        told = uncompared(config, name, observed) if change.files and observed is not None else UNASKED
        done = written(checkout, start, f"prime-{name}", name, tree, change, place, observed)
    return place.keep_body(replace(done, notes=(*done.notes, told)) if told and change.files else done)
