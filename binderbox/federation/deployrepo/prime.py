"""The change that makes another member the prime: two lines of config/prod.yaml, and weights where they are asked for."""

from __future__ import annotations

from collections.abc import Mapping

from binderbox.errors import RuleBroken
from binderbox.federation.deployrepo import entries
from binderbox.federation.deployrepo.change import Change, changed
from binderbox.federation.deployrepo.tree import CONFIG, DeployTree, held_to_rules, redirector_config
from binderbox.federation.deployrepo.weight import known
from binderbox.federation.deployrepo.words import checked_why


def prime(tree: DeployTree, name: str, weights: Mapping[str, int], why: str = "") -> Change:
    """The whole change, or no file where the member is the only prime with these weights already.

    + weights: new weights by member, of the one that becomes the prime or of others
    Raises DeployRepoError for a member that is none, RuleBroken where the redirector would not start.
    """
    config = redirector_config(tree, several_primes=True)
    member = known(config, name)
    for one in weights:
        known(config, one)
    if not weights.get(name, member.weight):
        raise RuleBroken(
            f"{name} has weight 0: the redirector drops it before it looks for a prime, and ends; nothing was written",
            cause="this happened on 2023-04-27 (mybinder.org-deploy adab8c7a, put right by 2d832ffd)",
            remedy=f"give it a weight in the same change: --weight {name}=50",
        )
    before = tuple(one.name for one in config.hosts if one.prime and one.name != name)
    document = tree.document(CONFIG)
    for one in before:
        document = document.with_text(entries.set_prime(document, one, False))
    if not member.prime:
        document = document.with_text(entries.set_prime(document, name, True))
    for one, weight in weights.items():
        if known(config, one).weight != weight:
            document = document.with_text(entries.set_weight(document, one, weight))
    files = changed(tree, {CONFIG: document.text})
    held_to_rules(tree.with_files(files))
    return Change(files, f"Make {name} the prime", _body(name, before, weights, checked_why(why)))


def _body(name: str, before: tuple[str, ...], weights: Mapping[str, int], why: str) -> str:
    instead = f" instead of {' and '.join(before)}" if before else ""
    told = f" Weights: {', '.join(f'{one} {weight}' for one, weight in weights.items())}." if weights else ""
    lines = f"Pages and versions of the federation are those of {name}{instead}.{told}"
    return f"{why}\n\n{lines}" if why else lines
