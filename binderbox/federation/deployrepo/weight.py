"""The change of one member's weight: one line of config/prod.yaml."""

from __future__ import annotations

from typing import NoReturn

import yaml

from binderbox.errors import DeployRepoError, RuleBroken
from binderbox.federation.deployrepo import entries
from binderbox.federation.deployrepo.change import Change, changed
from binderbox.federation.deployrepo.tree import (
    CONFIG,
    SECTION,
    DeployTree,
    held_to_rules,
    hosts_in,
    redirector_config,
)
from binderbox.federation.deployrepo.words import checked_weight, checked_why
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig, is_number


def weight(tree: DeployTree, name: str, value: str | int, why: str = "") -> Change:
    """One changed line, or no file where the member has this weight already.

    Raises UsageError for a weight that is none, RuleBroken where the redirector would not start, DeployRepoError.
    """
    wanted = checked_weight(value)
    config = redirector_config(tree, mending=name)
    member = known(config, name)
    if wanted == 0 and member.prime:
        refuse_prime(name, leaving=False)
    text, odd = tree.document(CONFIG), odd_weight(tree, name)
    # one without a weight is dropped like one with 0, so that there is nothing to write
    same = member.weight == wanted and not odd
    files = changed(tree, {CONFIG: text.text if same else entries.set_weight(text, name, wanted)})
    held_to_rules(tree.with_files(files))
    return Change(
        files,
        f"Weight of {name} from {odd or f'{member.weight:g}'} to {wanted}",
        _body(config, member, wanted, checked_why(why)),
    )


def odd_weight(tree: DeployTree, name: str) -> str:
    """What stands where a number should, as it is typed; "" for a number or nothing."""
    found = tree.document(CONFIG).find(SECTION, "hosts", name, "weight")
    if found is None or not isinstance(found[1], yaml.ScalarNode):
        return ""
    value = (hosts_in(tree.files[CONFIG]) or {})[name]["weight"]
    return "" if is_number(value) else repr(found[1].value)


def refuse_prime(name: str, *, leaving: bool) -> NoReturn:
    """Raises RuleBroken: the redirector ends when it finds no prime."""
    how = "without it the redirector" if leaving else "with weight 0 the redirector drops it,"
    rest = "" if leaving else f", or take load off it: binderbox federation weight {name} 1"
    raise RuleBroken(
        f"{name} is the prime; {how} finds no prime and ends, and all of mybinder.org with it; "
        "nothing was written",
        cause="with weight 0 on the prime this happened on 2023-04-27, 2025-02-25 and 2025-08-26 "
        "(mybinder.org-deploy adab8c7a, 09822950, 5efc4a80)",
        remedy=f"make another member the prime first, in a change of its own: binderbox federation prime OTHER{rest}",
    )


def known(config: RedirectorConfig, name: str) -> HostEntry:
    """The member of that name; raises DeployRepoError that lists the members there are."""
    found = config.host(name)
    if found is None:
        there = ", ".join([*(host.name for host in config.hosts), *config.null_hosts])
        raise DeployRepoError(
            f"{name} is no member in {CONFIG}; there are {there or 'none'}; nothing was written",
            remedy="binderbox federation status --deploy-repo PATH",
        )
    return found


def _body(config: RedirectorConfig, member: HostEntry, wanted: int, why: str) -> str:
    before = sum(host.weight for host in config.hosts)
    after = before - member.weight + wanted
    lines = [
        f"{member.name} gets {_share(wanted, after)} of launches instead of {_share(member.weight, before)}, as long as "
        "all members are in rotation.",
    ]
    return "\n\n".join([*([why] if why else []), *lines])


def _share(part: float, whole: float) -> str:
    return f"{part / whole:.0%}" if whole else "none"
