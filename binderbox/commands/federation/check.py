"""One member looked at closely: would the redirector send it launches, and would a launch that it gets succeed.

Usable before joining. Nothing here prints; a member that does not answer is a result, not an error.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass, replace

from binderbox.commands.federation.ask import Asked, ask_federation, observe, unknown_member
from binderbox.decide import urls
from binderbox.errors import ConfigError, ConnectError, UsageError
from binderbox.federation.members.checks import judge
from binderbox.federation.members.look import (
    NO_SUCH_REF,
    REF,
    REPOSITORY,
    MemberCheck,
    MemberLook,
    make_entry,
    twins_of,
)
from binderbox.federation.members.observed import Ask, Observed
from binderbox.federation.members.status import Federation, pods_and_quota, reference_of
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
from binderbox.federation.redirector.rules import judge_member
from binderbox.launch import visitor
from binderbox.launch.stream import build_path, build_token, page_path
from binderbox.launch.visitor import BuildSeen
from binderbox.output.progress import Progress
from binderbox.output.requests import Connection
from binderbox.world.http import endpoints
from binderbox.world.http.endpoints import PUBLIC, Way
from binderbox.world.http.stream import Streams

PAGE_S = 15.0
LAUNCH_AT_MOST_S = 900.0  # the repository of the check builds in a minute or two


@dataclass(frozen=True)
class Target:
    """A member as the user named it, found: its entry, how its name is reached, ssh to its host if that was named, and who
    answers for it, as its host says."""

    given: str
    entry: HostEntry
    listed: bool
    way: Way = PUBLIC
    connection: Connection | None = None
    contact: str = ""


def check_member(
    given: str,
    asked: Asked,
    progress: Progress,
    *,
    connection: Connection | None = None,
    repo_url: str = "",
    ref: str = REF,
    launch: bool = True,
    way: Way = PUBLIC,
) -> MemberCheck:
    """Would a member get launches, and would these succeed: a name of the federation, an address, or a HOST of ours.

    + connection: how to reach a HOST; used only when `given` is neither a member's name nor an address
    + repo_url: what to launch; "" is a small repository of binder-examples, or of a HOST the one that it can serve itself
    + launch: False only knocks at /build, with a branch that does not exist; then nothing says that launches work
    Raises UsageError for a member that nobody knows, EndpointFailed when the federation's list cannot be had.
    """
    progress.phase_started("Ask the federation")
    found = ask_federation(asked, way)
    target = find_target(given, found.config, connection, way, out=found.out or ())
    progress.phase_done("Ask the federation", 0, 0, len(found.observed))
    entry = target.entry
    public = observed = _observe(entry, found.config, Way(target.way.addresses, way.ca_pem))
    if target.way.ca_pem != way.ca_pem:
        observed = _observe(entry, found.config, target.way)
    reference = reference_of(found)
    standing = judge_member(entry, public.seen, reference, found.config)
    seen = MemberLook(
        entry=entry,
        config=found.config,
        observed=observed,
        standing=standing,
        listed=target.listed,
        reference=reference,
        reference_error=_why_no_reference(found),
        twins=twins_of(found.config, entry),
        certificate=next(
            (one.error for one in (public.health, public.versions) if "certificate" in one.error), ""
        ),
    )
    if observed.health.status or observed.versions.status:
        title = "Launch on the member" if launch else "Knock at the member"
        progress.phase_started(title)
        seen = _launched(seen, target, asked, progress, _Launch(repo_url, ref, launch), way)
        progress.phase_done(title, (seen.build and seen.build.ready_s) or 0, 0, 1)
    quota = pods_and_quota(observed.health)[1]
    return MemberCheck(given, entry.name, entry.url, standing, judge(seen), quota)


@dataclass(frozen=True)
class _Launch:
    """What to launch; `whole` False: only knock."""

    repo_url: str
    ref: str
    whole: bool


def _launched(
    seen: MemberLook, target: Target, asked: Asked, progress: Progress, what: _Launch, way: Way
) -> MemberLook:
    def visit(repo_url: str, ref: str) -> BuildSeen:
        path, page = _path(repo_url, ref), asked.url.rstrip("/")
        token, no_token_because = _page_token(page + page_path(path), way)
        return visitor.visit(
            target.entry.url,
            path,
            Streams(target.way),
            token=token,
            no_token_because=no_token_because,
            page=page,
            whole=what.whole,
            at_most_s=LAUNCH_AT_MOST_S,
        )

    if target.connection is not None and what.whole:
        from binderbox.commands.federation.host import proofs_of

        build, firewall = proofs_of(
            target.connection,
            progress,
            lambda url, ref: visit(what.repo_url or url, what.ref if what.repo_url else ref),
        )
        return replace(seen, build=build, firewall=firewall)
    return replace(seen, build=visit(what.repo_url or REPOSITORY, what.ref if what.whole else NO_SUCH_REF))


def _page_token(page_url: str, way: Way) -> tuple[str, str]:
    """(token, why there is none) of a launch page; the redirector passes pages on from the prime."""
    (reply,) = endpoints.ask_all([Ask(page_url, PAGE_S, "text")], way)
    if reply.fault or not (token := build_token(reply.text)):
        return "", f"{page_url}: {reply.fault or 'no build token in the page'}"
    return token, ""


def _observe(entry: HostEntry, config: RedirectorConfig, way: Way) -> Observed:
    return observe([entry], config.check.timeout_s, way)[entry.name]


def find_target(
    given: str,
    config: RedirectorConfig,
    connection: Connection | None,
    way: Way = PUBLIC,
    *,
    out: Collection[str] = (),
) -> Target:
    """The member that a user means: a name in the configuration, an address, else a HOST that ssh reaches.

    + out: names of members that are not in the configuration because they are out of rotation
    """
    if (entry := config.host(given)) is not None:
        return Target(given, entry, True, way)
    if given.lower().startswith(("https://", "http://")):
        try:
            made = make_entry("", given)
        except ValueError as error:
            raise UsageError(
                str(error), remedy="binderbox federation check https://binder.example.org"
            ) from error
        return _known(given, made, config, way)
    if re.match("https?:", given.lower()):
        raise UsageError(
            f"{given} is no address", remedy=f"write it like https://{given.partition(':')[2].lstrip('/')}"
        )
    if connection is None or given in out:
        raise unknown_member(given, config, out)
    from binderbox.commands.federation.host import member_of

    try:
        entry, own_way, contact = member_of(connection, way)
    except ConnectError as error:
        unknown = unknown_member(given, config, out)
        raise UsageError(
            f"{unknown.message}, and ssh does not reach a host of that name",
            cause=f"{unknown.cause}\n{error.message}",
            remedy=f"give its public address with its scheme, https://{given}, or a name of: {unknown.remedy}",
        ) from error
    return replace(_known(given, entry, config, own_way), connection=connection, contact=contact)


def _known(given: str, made: HostEntry, config: RedirectorConfig, way: Way) -> Target:
    """An address that is a member's already is that member."""
    same = next((one for one in config.hosts if urls.place(one.url) == urls.place(made.url)), None)
    return Target(given, same or made, same is not None, way)


def _why_no_reference(found: Federation) -> str:
    return (
        f"{found.prime.url}: {found.prime.fault}"
        if found.prime is not None and found.prime.fault
        else "no prime"
    )


def _path(repo_url: str, ref: str) -> str:
    try:
        return build_path(repo_url, ref)
    except ValueError as error:
        raise ConfigError(
            str(error), remedy="binderbox federation check NAME --repo URL --ref REF"
        ) from error
