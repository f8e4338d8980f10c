"""`federation join`: the whole change, whether the member is ready for it, and what people have to do. Nothing here prints."""

from __future__ import annotations

from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from binderbox.commands.federation.ask import Asked, ask_federation
from binderbox.commands.federation.check import Target, check_member, find_target
from binderbox.commands.federation.writing import Edited, Place, lines_of, read_tree, written
from binderbox.decide import urls
from binderbox.errors import UsageError
from binderbox.federation.deployrepo import edits, texts
from binderbox.federation.deployrepo.change import Change, Step
from binderbox.federation.deployrepo.join import Newcomer
from binderbox.federation.deployrepo.tree import redirector_config
from binderbox.federation.redirector.config import RedirectorConfig
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection
from binderbox.output.results import CheckResult
from binderbox.parts.secrets.kinds import GIVEN
from binderbox.world.git.clones import opened
from binderbox.world.http.endpoints import Way


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


def join(request: JoinRequest, place: Place, progress: Progress) -> Joined:
    """The whole change, whether the member is ready for it, and what people have to do."""
    if not place.source:
        config = (
            ask_federation(Asked(place.federation), place.way).config if place.ask else RedirectorConfig(())
        )
        target = find_target(request.given, config, request.connection, place.way)
        if target.listed:
            raise UsageError(
                f"{target.entry.url} is a member already, under the name {target.entry.name}",
                remedy=f"binderbox federation check {target.entry.name}",
            )
        return _joined(request, _newcomer(request, target, place), None, place, target.way, progress)
    with opened(place.source, place.checkout) as checkout:
        tree, start = read_tree(checkout, place)
        config = redirector_config(tree)
        target = find_target(request.given, config, request.connection, place.way)
        member = _newcomer(request, target, place)
        change = edits.join(tree, member, lines_of(checkout, start, member.name, member.url))
        joined = _joined(request, member, (config, change), place, target.way, progress)
        edited = written(checkout, start, f"join-{member.name}", member.name, tree, change, place)
    body = texts.pull_request(change, joined.steps)
    return replace(joined, edited=place.keep_body(replace(edited, body=body, steps=joined.steps)))


def _newcomer(request: JoinRequest, target: Target, place: Place) -> Newcomer:
    url = target.entry.url
    contact = request.contact or target.contact
    name = request.name or (target.entry.name if target.listed else _name_of(url))
    member = edits.make_newcomer(
        name,
        url,
        run_by=request.run_by,
        where=request.where,
        contact=contact,
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
    if not contact:
        host = request.given if target.connection else "HOST"
        raise UsageError(
            f"{url} has no contact; nothing was written",
            cause="a provider wants a person's answer to an abuse mail within 48 to 72 hours, or cuts the network",
            remedy=f"say who answers, a mail address or an https:// page: --contact, or binderbox install {host} --abuse-contact",
        )
    return member


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


def _name_of(url: str) -> str:
    """`https://binder.example.org` -> `binder-example-org`; a name below mybinder.org is its first label."""
    name = (urlsplit(url).hostname or "").removesuffix(".mybinder.org")
    if not name:
        raise UsageError(f"{url}: no name can be made of this address", remedy="give one with --name")
    return name.replace(".", "-")
