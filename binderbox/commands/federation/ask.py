"""Asking the federation: the list of members, what each of them answers, and what the redirector says of it.

The list comes from the redirector, from a deployment repository, or from both. Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from binderbox.errors import EndpointFailed, UsageError
from binderbox.federation.deployrepo.tree import WANTED, make_tree, redirector_config
from binderbox.federation.following.launches import parse_launches, parse_start
from binderbox.federation.members.noted import Counted
from binderbox.federation.members.observed import Ask, Observed, Reply
from binderbox.federation.members.public import Active, parse_active_hosts, parse_out
from binderbox.federation.members.status import Federation
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig
from binderbox.world.git import clones
from binderbox.world.http import endpoints
from binderbox.world.http.endpoints import PUBLIC, Way

MYBINDER = "https://mybinder.org"
METRICS_S = 20.0
METRICS_BYTES = 20_000_000  # BinderHub counts launches by repository too: a busy member has a line for each
REDIRECTOR_S = 5.0  # as long as it gives its members itself


@dataclass(frozen=True)
class Asked:
    """Where the list of members comes from. `deploy` is the configuration of a deployment repository, None without one."""

    url: str = MYBINDER
    deploy: RedirectorConfig | None = None
    deploy_source: str = ""


def deploy_config(source: str) -> RedirectorConfig:
    """The redirector's configuration in the last commit of a checkout, or of a URL. Raises DeployRepoError."""
    return redirector_config(make_tree(*clones.look(source, WANTED)))


def observe(hosts: Sequence[HostEntry], timeout_s: float, way: Way = PUBLIC) -> dict[str, Observed]:
    """Ask /versions and /health of every member once, all at the same time."""
    replies = iter(
        endpoints.ask_all(
            (Ask(url, timeout_s) for host in hosts for url in (host.versions, host.health)), way
        )
    )
    return {host.name: Observed(host.name, next(replies), next(replies)) for host in hosts}


def ask_federation(asked: Asked, way: Way = PUBLIC) -> Federation:
    """The members with what they answer. The redirector's list comes first only where there is no other.

    Raises EndpointFailed when the redirector gives no list and there is no deployment repository to take it from, or
    when nobody answered at all.
    """
    url, notes = asked.url.rstrip("/"), tuple[str, ...]()
    question = Ask(f"{url}/active_hosts", REDIRECTOR_S)
    also = [Ask(f"{url}/metrics", REDIRECTOR_S, "text"), Ask(f"{url}/versions", REDIRECTOR_S)]
    listed: Active | None
    if asked.deploy is None:
        listed = _listed(*endpoints.ask_all([question], way))
        config = listed.config
        metrics, prime, *answers = endpoints.ask_all([*also, *_of_members(config)], way)
        if metrics.fault:
            notes = (f"{metrics.url}: {metrics.fault}; members that are out are not known",)
    else:
        config = asked.deploy
        hosts, metrics, prime, *answers = endpoints.ask_all([question, *also, *_of_members(config)], way)
        if not any(one.status or "certificate" in one.error for one in (hosts, metrics, prime, *answers)):
            raise _nobody(hosts)
        try:
            listed = _listed(hosts)
            notes = _undeployed(config, listed.config)
        except EndpointFailed as error:
            listed = None
            notes = (f"{error.message}; who is in is by its rules alone",)
    by_url = {one.url: one for one in answers}
    observed = {
        one.name: Observed(one.name, by_url[one.versions], by_url[one.health]) for one in config.hosts
    }
    return Federation(
        source=asked.deploy_source or url,
        config=config,
        observed=observed,
        listed=listed,
        out=None if listed is None or metrics.fault else parse_out(metrics.text, listed.names),
        prime=prime,
        configured=asked.deploy is not None,
        notes=notes,
    )


def counted_of(entry: HostEntry, way: Way = PUBLIC) -> Counted | None:
    """What the member's BinderHub counted since it started; None when it does not tell."""
    question = Ask(f"{entry.url}/metrics", METRICS_S, "text", most_bytes=METRICS_BYTES)
    (metrics,) = endpoints.ask_all([question], way)
    launches = None if metrics.fault else parse_launches(metrics.text)
    return None if launches is None else Counted(launches, parse_start(metrics.text))


def _of_members(config: RedirectorConfig) -> list[Ask]:
    wanted = dict.fromkeys(url for one in config.hosts for url in (one.versions, one.health))
    return [Ask(url, config.check.timeout_s) for url in wanted]


def _listed(hosts: Reply) -> Active:
    """What /active_hosts says. Raises EndpointFailed."""
    fault = hosts.fault
    if not fault:
        try:
            return parse_active_hosts(hosts.body)
        except ValueError as error:
            fault = str(error)
    raise EndpointFailed(
        f"the redirector gives no list of members: {hosts.url}: {fault}",
        cause="needed: the JSON of its route /active_hosts",
        remedy=("" if hosts.status else "see whether this machine is online, ")
        + "name another with --federation URL, or a deployment repository with --deploy-repo PATH",
    )


def _nobody(hosts: Reply) -> EndpointFailed:
    """Neither the redirector nor any member: that is rather the network here than the whole federation."""
    return EndpointFailed(
        f"nobody answered, neither {hosts.url} nor any member: {hosts.error}",
        cause="so many do not end at the same time; the network of this machine may be down",
        remedy=f"see whether this machine is online: curl -sSI {hosts.url}",
    )


def unknown_member(given: str, config: RedirectorConfig, out: Collection[str] = ()) -> UsageError:
    """The error for a name that no member has, or only one that is out of rotation, of which the name alone is public."""
    if given in out:
        return UsageError(
            f"{given} is a member that is out of rotation now, and then only its name is public",
            cause="the redirector's metrics name it, and its list of members does not",
            remedy=f"take the members from the repository: --deploy-repo PATH, or: binderbox federation check https://ADDRESS-OF-{given}",
        )
    return UsageError(
        f"{given} is no member of this federation",
        cause=f"members are: {', '.join([*names_of(config), *out]) or 'none'}",
        remedy="binderbox federation status",
    )


def _undeployed(config: RedirectorConfig, listed: RedirectorConfig) -> tuple[str, ...]:
    """Where the redirector uses something else than the repository says."""
    told = []
    for one in listed.hosts:
        mine = config.host(one.name)
        if mine is None:
            told.append(f"the redirector has {one.name}, the repository does not")
        elif (mine.weight, mine.url) != (one.weight, one.url):
            told.append(
                f"the redirector has {one.name} with weight {one.weight:g} at {one.url}, the repository {mine.weight:g} at {mine.url}"
            )
    return tuple(told)


def names_of(config: RedirectorConfig) -> tuple[str, ...]:
    """Names of all members, in order."""
    return tuple(one.name for one in config.hosts)
