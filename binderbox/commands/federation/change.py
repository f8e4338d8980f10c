"""Changes of the deployment repository: join, leave, weight, drain. Nothing here prints, and nothing is ever pushed.

read the last commit -> edit (pure, guarded, held to the redirector's rules) -> ask the members -> one commit on a branch
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import urlsplit

from binderbox.commands.federation.ask import Asked, ask_federation, launches_of, observe, unknown_member
from binderbox.commands.federation.check import check_member, find_target
from binderbox.decide import urls
from binderbox.errors import UsageError
from binderbox.federation.deployrepo import edits, texts
from binderbox.federation.deployrepo.change import Change, Step, checked_weight, render_diff
from binderbox.federation.deployrepo.join import Newcomer
from binderbox.federation.deployrepo.leave import THANKS_STEP
from binderbox.federation.deployrepo.mentions import Line, words_of
from binderbox.federation.deployrepo.tree import WANTED, DeployTree, make_tree, redirector_config
from binderbox.federation.members.effect import Effect, effect
from binderbox.federation.members.noted import line_of
from binderbox.federation.members.observed import Observed
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection
from binderbox.output.results import CheckResult
from binderbox.parts.secrets.kinds import GIVEN
from binderbox.world.git import repository as git
from binderbox.world.git.clones import opened
from binderbox.world.http.endpoints import PUBLIC, Way


@dataclass(frozen=True)
class Place:
    """Where the change goes: a checkout's PATH or URL, "" for none; a clone of a URL is made in `checkout`.

    `federation` is the redirector's address. `write` False: only show. `ask` False: ask no member anything. `body`: where
    the text of the pull request goes, besides the answer.
    """

    source: str = ""
    checkout: Path | None = None
    federation: str = "https://mybinder.org"
    write: bool = True
    ask: bool = True
    way: Way = PUBLIC
    body: Path | None = None

    def keep_body(self, edited: Edited) -> Edited:
        """Raises UsageError where the file cannot be written."""
        if self.body is not None and edited.diff:
            try:
                self.body.write_text(f"{edited.body}\n")
            except OSError as error:
                raise UsageError(f"--body {self.body}: {error.strerror}") from error
        return edited


@dataclass(frozen=True)
class Edited:
    """`branch` and `commit` are "" where nothing was written; `changed` says whether this run wrote the commit."""

    name: str
    changed: bool
    checkout: str
    branch: str
    commit: str
    files: tuple[str, ...]
    title: str
    body: str
    diff: str
    effect: Effect
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Joined:
    """`ready`: check passed; None when it was not asked. `edited` is None without a deployment repository."""

    member: Newcomer
    ready: bool | None
    checks: tuple[CheckResult, ...]
    steps: tuple[Step, ...]
    handover: tuple[texts.Handover, ...]
    post: str
    guide: str
    edited: Edited | None


@dataclass(frozen=True)
class JoinRequest:
    """`given` is a HOST reached by `connection`, or a public address; "" of the rest is computed or left out."""

    given: str
    connection: Connection | None = None
    name: str = ""
    run_by: str = ""
    where: str = ""
    contact: str = ""
    sponsor: str = ""
    sponsor_url: str = ""
    weight: str = str(edits.FIRST_WEIGHT)


def weight(name: str, value: str, why: str, place: Place) -> Edited:
    """One changed line; without a deployment repository only its effect."""
    wanted = checked_weight(value)
    if not place.source:
        return _effect_only(name, wanted, place)
    return _edited(
        place, f"weight-{name}-{wanted}", name, lambda tree: _weight(tree, name, wanted, why, place)
    )


def drain(name: str, why: str, place: Place) -> Edited:
    """The weight 0, on a branch of its own name."""
    if not place.source:
        return _effect_only(name, 0, place)
    return _edited(place, f"drain-{name}", name, lambda tree: _weight(tree, name, 0, why, place))


def _weight(tree: DeployTree, name: str, wanted: int, why: str, place: Place) -> Change:
    """With the launches of this moment in its words, from which `ramp` counts."""
    entry = redirector_config(tree, mending=name).host(name)
    launches = launches_of(entry, place.way) if place.ask and entry is not None else None
    return edits.weight(tree, name, wanted, why, line_of(launches))


def leave(name: str, sponsor_url: str, place: Place) -> Edited:
    """The reverse of a join."""
    if not place.source:
        return _effect_only(name, None, place)
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        entry = redirector_config(tree).host(name)
        lines = _lines(checkout, start, name, entry.url if entry else "")
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


def join(request: JoinRequest, place: Place, progress: Progress) -> Joined:
    """The whole change, whether the member is ready for it, and what people have to do."""
    if not place.source:
        config = (
            ask_federation(Asked(place.federation), place.way).config if place.ask else RedirectorConfig(())
        )
        if (there := find_target(request.given, config, request.connection, place.way)).listed:
            raise UsageError(
                f"{there.entry.url} is a member already, under the name {there.entry.name}",
                remedy=f"binderbox federation check {there.entry.name}",
            )
        member, way = _newcomer(request, config, place)
        return _joined(request, member, None, place, way, progress)
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        config = redirector_config(tree)
        member, way = _newcomer(request, config, place)
        change = edits.join(tree, member, _lines(checkout, start, member.name, member.url))
        joined = _joined(request, member, (config, change), place, way, progress)
        edited = written(checkout, start, f"join-{member.name}", member.name, tree, change, place)
    body = texts.pull_request(change, joined.steps)
    return replace(joined, edited=place.keep_body(replace(edited, body=body, steps=joined.steps)))


def _newcomer(request: JoinRequest, config: RedirectorConfig, place: Place) -> tuple[Newcomer, Way]:
    target = find_target(request.given, config, request.connection, place.way)
    url = target.entry.url
    name = request.name or (target.entry.name if target.listed else _name_of(url))
    member = edits.make_newcomer(
        name,
        url,
        run_by=request.run_by,
        where=request.where,
        contact=request.contact,
        sponsor=request.sponsor,
        sponsor_url=request.sponsor_url,
        weight=request.weight,
    )
    if urls.place(member.url)[:2] == urls.place(place.federation)[:2]:
        raise UsageError(
            f"{member.url} is the federation itself, not a member of it; nothing was written",
            cause="launches that the redirector sends to itself go round in a circle",
            remedy="give the address of the member's own BinderHub",
        )
    return member, target.way


def _joined(
    request: JoinRequest,
    member: Newcomer,
    found: tuple[RedirectorConfig, Change] | None,
    place: Place,
    way: Way,
    progress: Progress,
) -> Joined:
    config, change = found or (None, None)
    ready: bool | None = None
    checks: tuple[CheckResult, ...] = ()
    quota: int | None = None
    if place.ask:
        asked = Asked(place.federation, config, place.source)
        told = check_member(request.given, asked, progress, connection=request.connection, way=place.way)
        ready, checks, quota = told.ready, told.checks, told.quota
    host = request.given if request.connection is not None else "HOST"
    return Joined(
        member,
        ready,
        checks,
        texts.join_steps(member, change, host, ready, quota),
        texts.handovers(host, GIVEN),
        texts.post(member, ready, checks),
        texts.guide_text(member),
        None,
    )


def _edited(place: Place, branch: str, name: str, edit: Callable[[DeployTree], Change]) -> Edited:
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        return place.keep_body(written(checkout, start, branch, name, tree, edit(tree), place))


def read_tree(checkout: git.Checkout, place: Place) -> tuple[DeployTree, str]:
    """What the checkout holds, and the commit to start from; a checkout that cannot take a change is an error now."""
    commit = checkout.start()[1] if place.write else checkout.head()
    return make_tree(*checkout.read(commit, WANTED)), commit


def _lines(checkout: git.Checkout, commit: str, name: str, url: str) -> tuple[Line, ...]:
    return tuple(Line(*found) for found in checkout.grep(commit, words_of(name, url)))


def written(
    checkout: git.Checkout,
    start: str,
    branch: str,
    name: str,
    tree: DeployTree,
    change: Change,
    place: Place,
    observed: Mapping[str, Observed] | None = None,
) -> Edited:
    """The change as a commit on a branch of its own, where the place lets it, with its effect.

    + observed: what the members answered, where they were asked already
    """
    # what this very change mends may be wrong before it
    before = redirector_config(tree, mending=name, several_primes=True)
    after = redirector_config(tree.with_files(change.files))
    told = effect(before, after, observed or _observed(before, place))
    diff = render_diff(tree, change)
    branch, commit, new, notes = f"binderbox/{branch}", "", False, tuple[str, ...]()
    if change.files and place.write:
        notes = checkout.start_notes(start)
        commit, new = checkout.write(start, branch, change.files, f"{change.title}\n\n{change.body}\n")
    return Edited(
        name=name,
        changed=new,
        checkout=str(checkout.shown),
        branch=branch if commit else "",
        commit=commit,
        files=tuple(change.files),
        title=change.title,
        body=change.body,
        diff=diff,
        effect=told,
        steps=change.steps,
        notes=notes,
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


def _observed(config: RedirectorConfig, place: Place) -> Mapping[str, Observed] | None:
    return observe(config.hosts, config.check.timeout_s, place.way) if place.ask else None


def _name_of(url: str) -> str:
    """`https://binder.example.org` -> `binder-example-org`; a name below mybinder.org is its first label."""
    name = (urlsplit(url).hostname or "").removesuffix(".mybinder.org")
    if not name:
        raise UsageError(f"{url}: no name can be made of this address", remedy="give one with --name")
    return name.replace(".", "-")
