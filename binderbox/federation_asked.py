"""Asking the federation: the list of members, what each of them answers, and what the redirector says of it.

The list comes from the redirector, from a deployment repository, or from both. Nothing here prints.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import yaml

from binderbox.errors import DeployRepoError, EndpointFailed, UsageError
from binderbox.federation.config import RedirectorConfig, make_config
from binderbox.federation.observed import Ask, Observed, Reply
from binderbox.federation.public import parse_active_hosts, parse_out
from binderbox.federation.status import Federation
from binderbox.world import endpoints
from binderbox.world.endpoints import PUBLIC, Way

MYBINDER = "https://mybinder.org"
REDIRECTOR_S = 10.0  # it asks the prime for some of it


@dataclass(frozen=True)
class Asked:
    """Where the list of members comes from. `deploy` is the configuration of a deployment repository, None without one."""

    url: str = MYBINDER
    deploy: RedirectorConfig | None = None
    deploy_source: str = ""


def deploy_config(source: str) -> RedirectorConfig:
    """The redirector's configuration in a checkout of the deployment repository. Raises DeployRepoError."""
    files = {}
    for path in ("config/prod.yaml", "mybinder/values.yaml"):
        try:
            files[path] = yaml.safe_load((Path(source) / path).read_text()).get("federationRedirect") or {}
        except (OSError, yaml.YAMLError, AttributeError) as error:
            raise DeployRepoError(
                f"{source}: {path}: {error}", remedy="give a checkout of mybinder.org-deploy"
            ) from error
    return make_config({**files["mybinder/values.yaml"], **files["config/prod.yaml"]})


def observe(config: RedirectorConfig, way: Way = PUBLIC) -> dict[str, Observed]:
    """Every member of a configuration, those of weight 0 too, each asked once within the redirector's own timeout."""
    return endpoints.observe(config.hosts, config.check.timeout_s, way)


def ask_federation(asked: Asked, way: Way = PUBLIC) -> Federation:
    """The members with what they answer.

    Raises EndpointFailed when the redirector gives no list and there is no deployment repository to take it from.
    """
    paths = (("active_hosts", "json"), ("metrics", "text"), ("versions", "json"))
    url = asked.url.rstrip("/")
    questions = [Ask(f"{url}/{path}", REDIRECTOR_S, wants) for path, wants in paths]  # type: ignore[arg-type]
    if asked.deploy is not None:
        # the members are known, so that they and the redirector can be asked at the same time
        timeout_s = asked.deploy.check.timeout_s
        questions += [
            Ask(one, timeout_s) for host in asked.deploy.hosts for one in (host.versions, host.health)
        ]
    hosts, metrics, prime, *rest = endpoints.ask_all(questions, way)
    listed, notes = _listed(hosts, asked)
    out = None if listed is None or metrics.fault else parse_out(metrics.text, frozenset(names_of(listed)))
    if asked.deploy is None:
        assert listed is not None
        config, observed = listed, observe(listed, way)
        notes = (
            *notes,
            *(
                [f"{url}/metrics: {metrics.fault}; members that are out are not known"]
                if metrics.fault
                else []
            ),
        )
    else:
        config, answers = asked.deploy, iter(rest)
        observed = {one.name: Observed(one.name, next(answers), next(answers)) for one in config.hosts}
        notes = (*notes, *_undeployed(config, listed))
    active = None if listed is None else frozenset(names_of(listed))
    deployed = None if listed is None else {one.name: one.weight for one in listed.hosts}
    source = asked.deploy_source if asked.deploy is not None else url
    return Federation(source, config, observed, active, out, prime, deployed, notes)


def unknown_member(given: str, config: RedirectorConfig) -> UsageError:
    """The error for a name that no member has."""
    return UsageError(
        f"{given} is no member of this federation",
        cause=f"members are: {', '.join(names_of(config)) or 'none'}",
        remedy="binderbox federation status",
    )


def _listed(hosts: Reply, asked: Asked) -> tuple[RedirectorConfig | None, tuple[str, ...]]:
    """What /active_hosts says; with a deployment repository it may say nothing."""
    fault = hosts.fault
    if not fault:
        try:
            return parse_active_hosts(hosts.body), ()
        except ValueError as error:
            fault = str(error)
    if asked.deploy is not None:
        return None, (
            f"the redirector was not heard ({hosts.url}: {fault}): who is in is by its rules alone",
        )
    raise EndpointFailed(
        f"the redirector gives no list of members: {hosts.url}: {fault}",
        cause="needed: the JSON of its route /active_hosts",
        remedy="name another with --federation URL, or a deployment repository with --deploy-repo PATH",
    )


def _undeployed(config: RedirectorConfig, listed: RedirectorConfig | None) -> tuple[str, ...]:
    """Where the redirector uses something else than the repository says."""
    told = []
    for one in listed.hosts if listed else ():
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
