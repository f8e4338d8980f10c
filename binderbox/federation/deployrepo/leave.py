"""The change that takes a member out: the reverse of `join`, and as much as is safe for a member others wrote."""

from __future__ import annotations

import re
from collections.abc import Sequence

from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo import banner, entries, memberlist, scrape
from binderbox.federation.deployrepo.change import Change, Step, changed
from binderbox.federation.deployrepo.mentions import Line, mentioned, mentions, own_files
from binderbox.federation.deployrepo.scrape import NoPlace
from binderbox.federation.deployrepo.taken import deployed
from binderbox.federation.deployrepo.tree import (
    CONFIG,
    DOCS,
    SECTION,
    VALUES,
    DeployTree,
    held_to_rules,
    redirector_config,
)
from binderbox.federation.deployrepo.weight import known, refuse_prime
from binderbox.federation.deployrepo.yamllines import comment_above
from binderbox.federation.deployrepo.yamltext import Document, line_start

THANKS = re.compile(r"; thanks to (https://\S+)$")


def leave(tree: DeployTree, name: str, sponsor_url: str = "", lines: Sequence[Line] = ()) -> Change:
    """The whole change. `sponsor_url` names the link in the banner for a member whose entry does not name it.

    + lines: those of all tracked text files that hold one of `words_of` the member
    Raises DeployRepoError for an unknown member, RuleBroken for the prime.
    """
    config = redirector_config(tree)
    if name in config.null_hosts:
        member, url = None, ""
    else:
        member = known(config, name)
        url = member.url
    if member is not None and member.prime:
        refuse_prime(name, leaving=True)
    prod = tree.document(CONFIG)
    link = sponsor_url or _link(prod, name)
    after, stays = entries.remove(prod, name)
    note = f"{CONFIG}; the comment on its line {stays} stays: see whom it is about" if stays else CONFIG
    steps = [Step("the redirector's entry", True, note)]
    texts, step = _target(prod.with_text(after), url)
    steps.append(step)
    pages, step = _page(tree, name)
    steps.append(step)
    thanks, step = _thanks(tree, link)
    steps.append(step)
    files = changed(tree, {CONFIG: texts, **pages, **thanks})
    if deployed(tree, name):
        steps += _deployed(tree, name)
    left = mentions(tree, files, lines, name, url)
    steps += mentioned("lines that name it", left, "by hand, where it is this member that is meant")
    held_to_rules(tree.with_files(files))
    return Change(files, f"Take {name} out of the federation", _body(name, url), tuple(steps))


def _link(document: Document, name: str) -> str:
    """The address that the comment of our own above the entry says is thanked for this member."""
    pair = document.find(SECTION, "hosts", name)
    if pair is None:
        raise entries.inherited(document, entries.members(document), name)
    _, words = comment_above(document.text, line_start(document.text, pair[0].start_mark.index))
    found = THANKS.search(words) if words.startswith(entries.OWN) else None
    return found.group(1) if found else ""


def _target(document: Document, url: str) -> tuple[str, Step]:
    if not url:
        return document.text, Step("monitoring target", True, "there was none")
    target = scrape.target_of(url)
    try:
        after = scrape.remove(document, target)
        if scrape.elsewhere(document.with_text(after), target):
            why = f"by hand: {target.host} stands in another job of {CONFIG}"
            return after, Step("monitoring target", False, why)
    except (NoPlace, DeployRepoError) as why:
        return document.text, Step("monitoring target", False, f"by hand: {why}")
    return after, Step("monitoring target", True, CONFIG if after != document.text else "there was none")


def _page(tree: DeployTree, name: str) -> tuple[dict[str, str], Step]:
    what = "the list of registered members"
    if DOCS not in tree.files:
        return {}, Step(what, True, f"{DOCS} is not there")
    try:
        text = tree.files[DOCS].decode()
        after = memberlist.remove(text, name)
    except (UnicodeDecodeError, DeployRepoError) as why:
        return {}, Step(what, False, f"by hand: {why}")
    return {DOCS: after}, Step(what, True, DOCS if after != text else "it was not in it")


def _thanks(tree: DeployTree, link: str) -> tuple[dict[str, str], Step]:
    document = tree.document(VALUES)
    try:
        everybody = banner.render_thanked(banner.thanked(document))
        after = banner.remove(document, link) if link else document.text
    except NoPlace as why:
        return {}, Step(banner.STEP, False, f"by hand: {why}")
    if after != document.text:
        return {VALUES: after}, Step(banner.STEP, True, link)
    found = (
        f"{link} is not among those who are thanked"
        if link
        else "see whether its sponsor is among those who are thanked"
    )
    return {}, Step(banner.STEP, False, f"{found}: {everybody}")


def _deployed(tree: DeployTree, name: str) -> list[Step]:
    """What is left of a member that this repository deployed: nothing of it is touched."""
    own = own_files(tree, name)
    return [Step("its deployment from this repository", False, f"by hand: {', '.join(own)}")] if own else []


def _body(name: str, url: str) -> str:
    where = f" ({url})" if url else ""
    return (
        f"{name}{where} gets no launches from mybinder.org any more. Sessions that run on it are not touched."
    )
