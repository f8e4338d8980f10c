"""The change that registers a member: the redirector's entry, a monitoring target, the list of members, the thanks.

A registered member stays its volunteer's machine and is reached by its address; nothing here deploys it. Every part
is left alone where it is there already, so a second run changes nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from binderbox.errors import RuleBroken, UsageError
from binderbox.federation.deployrepo import banner, entries, memberlist, scrape
from binderbox.federation.deployrepo.change import (
    FIRST_WEIGHT,
    Change,
    Step,
    changed,
)
from binderbox.federation.deployrepo.mentions import Line, mentioned, mentions
from binderbox.federation.deployrepo.scrape import NoPlace
from binderbox.federation.deployrepo.taken import refuse_release_host, refuse_taken
from binderbox.federation.deployrepo.tree import (
    CONFIG,
    DOCS,
    VALUES,
    DeployTree,
    held_to_rules,
    redirector_config,
)
from binderbox.federation.deployrepo.words import (
    checked_contact,
    checked_member_url,
    checked_name,
    checked_url,
    checked_weight,
    checked_words,
)
from binderbox.federation.deployrepo.yamltext import Document
from binderbox.federation.redirector.config import HostEntry


@dataclass(frozen=True)
class Newcomer:
    """Who joins: name in the federation, address, who runs it and where, whom to write to, and whom to thank."""

    name: str
    url: str
    run_by: str = ""
    where: str = ""
    contact: str = ""
    sponsor: banner.Sponsor | None = None
    weight: int = FIRST_WEIGHT

    @property
    def entry(self) -> HostEntry:
        return HostEntry(self.name, self.url, self.weight, f"{self.url}/health", f"{self.url}/versions")


def make_newcomer(
    name: str,
    url: str,
    *,
    run_by: str = "",
    where: str = "",
    contact: str = "",
    sponsor: str = "",
    sponsor_url: str = "",
    weight: str | int = FIRST_WEIGHT,
    http: bool = False,
) -> Newcomer:
    """One whose texts can stand in the files; raises UsageError. `http` lets an address without TLS through."""
    thanks = None
    if bool(sponsor) != bool(sponsor_url):
        raise UsageError(
            "--sponsor and --sponsor-url belong together: a name, and where the link leads",
            remedy="give both, or none",
        )
    if sponsor:
        checked_words("--sponsor", sponsor)
        thanks = banner.Sponsor(sponsor, checked_url("--sponsor-url", sponsor_url))
    return Newcomer(
        checked_name(name),
        checked_member_url(url, http=http),
        checked_words("--run-by", run_by),
        checked_words("--where", where),
        checked_contact(contact),
        thanks,
        checked_weight(weight),
    )


def join(tree: DeployTree, member: Newcomer, lines: Sequence[Line] = ()) -> Change:
    """The whole change; no file where all of it is there. Raises DeployRepoError, RuleBroken, and writes nothing.

    + lines: those of all tracked text files that hold one of `words_of` the member
    """
    config = redirector_config(tree)
    there = refuse_taken(tree, config, member.name, member.url)
    refuse_release_host(member.url, lines)
    if not there and not member.weight:
        raise RuleBroken(
            f"{member.name} would join with weight 0, which the redirector drops; nothing was written",
            remedy=f"start with --weight {FIRST_WEIGHT}",
        )
    texts: dict[str, Document] = {path: tree.document(path) for path in (CONFIG, VALUES)}
    steps, link = [], ""
    try:
        link, step = _thanks(texts, member)
        steps.append(step)
    except NoPlace as why:
        steps.append(Step(banner.STEP, False, f"by hand: {why}"))
    try:
        texts[CONFIG] = texts[CONFIG].with_text(scrape.add(texts[CONFIG], scrape.target_of(member.url)))
        steps.insert(0, Step("monitoring target", True, CONFIG))
    except NoPlace as why:
        steps.insert(0, Step("monitoring target", False, f"by hand: {why}"))
    if not there:
        texts[CONFIG] = texts[CONFIG].with_text(
            entries.add(texts[CONFIG], member.entry, _remark(member, link))
        )
    note = CONFIG if not there else f"{CONFIG}, there since before with weight {there.weight:g}"
    steps.insert(0, Step(f"the redirector's entry, weight {member.weight}, never prime", True, note))
    pages, step = _page(tree, member)
    steps.insert(2, step)
    files = changed(tree, {**{path: document.text for path, document in texts.items()}, **pages})
    held_to_rules(tree.with_files(files))
    if not there:
        old = mentions(tree, dict.fromkeys(files, b""), lines, member.name, member.url)
        steps += mentioned("lines that have its name already", old, "see whether they are about it")
    return Change(files, f"Add {member.name} to the federation", _body(member), tuple(steps))


def _thanks(texts: dict[str, Document], member: Newcomer) -> tuple[str, Step]:
    """(address of the link that this change adds, the step)."""
    what = banner.STEP
    if member.sponsor is None:
        return "", Step(what, True, "nobody to thank was named (--sponsor, --sponsor-url)")
    everybody, wanted = banner.thanked(texts[VALUES]), member.sponsor
    if there := next((one for one in everybody if banner.same(one.url, wanted.url)), None):
        return "", Step(what, True, f"{there.name} ({there.url}) is thanked")
    if there := next((one for one in everybody if one.name.casefold() == wanted.name.casefold()), None):
        note = f"{there.name} is thanked already, at {there.url}: by hand, if {wanted.url} is somebody else's"
        return "", Step(what, False, note)
    texts[VALUES] = texts[VALUES].with_text(banner.add(texts[VALUES], member.sponsor))
    return member.sponsor.url, Step(what, True, member.sponsor.name)


def _page(tree: DeployTree, member: Newcomer) -> tuple[dict[str, str], Step]:
    line = memberlist.Line(member.name, member.url, member.run_by, member.where, member.contact)
    what = "the list of registered members"
    if DOCS not in tree.files:
        return {}, Step(what, False, f"by hand: {DOCS} is not there; the line is: {line.render()}")
    try:
        return {DOCS: memberlist.add(tree.files[DOCS].decode(), line)}, Step(what, True, DOCS)
    except (NoPlace, UnicodeDecodeError) as why:
        return {}, Step(what, False, f"by hand: {why}; the line is: {line.render()}")


def _remark(member: Newcomer, link: str) -> str:
    """`, run by X, in Y: reached by ...`, and the link that leaving takes out of the banner again."""
    who = f", run by {member.run_by}" if member.run_by else ""
    where = f", in {member.where}" if member.where else ""
    return f"{who}{where}: not deployed from here" + (f"; thanks to {link}" if link else "")


def _body(member: Newcomer) -> str:
    who = f", run by {member.run_by}" if member.run_by else ""
    where = f" in {member.where}" if member.where else ""
    return (
        f"{member.name} is a registered member at {member.url}{who}{where}. It stays its operators' machine: the "
        "redirector reaches it by its address, and its own agent follows the prime's versions.\n\n"
        f"It starts with weight {member.weight} and is not the prime."
    )
