"""Who may not be registered: what the repository deploys itself, the federation's own hosts, members under another name."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Any

from binderbox.decide import urls
from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo import entries
from binderbox.federation.deployrepo.mentions import Line
from binderbox.federation.deployrepo.tree import CONFIG, RELEASE, SECTION, VALUES, DeployTree
from binderbox.federation.deployrepo.yamllines import comment_above
from binderbox.federation.deployrepo.yamltext import is_block, line_start
from binderbox.federation.redirector.config import HostEntry, RedirectorConfig

HOST_KEYS = ("host", "hosts", "from")  # of ingresses, of the redirector and of redirects: bare names of hosts


def deployed(tree: DeployTree, name: str) -> bool:
    """Whether the repository deploys this member: a release has its name, or its entry has no comment of our own.

    A list that is written in braces has no comments, so there only releases tell.
    """
    if name in tree.releases:
        return True
    document = tree.document(CONFIG)
    pair = document.find(SECTION, "hosts", name)
    if pair is None or not is_block(entries.members(document)):
        return False
    _, words = comment_above(document.text, line_start(document.text, pair[0].start_mark.index))
    return not words.startswith(entries.OWN)


def refuse_taken(tree: DeployTree, config: RedirectorConfig, name: str, url: str) -> HostEntry | None:
    """The entry of this very member, if it is registered already. Raises DeployRepoError for a name or an address that
    is somebody else's."""
    there, wanted = config.host(name), urls.place(url)
    if there is not None and urls.place(there.url) != wanted:
        raise DeployRepoError(
            f"{CONFIG} has a member {name} already, at {there.url}, not {url}; nothing was written",
            remedy="give another name with --name",
        )
    if there is not None and (there.prime or deployed(tree, name)):
        raise DeployRepoError(
            f"{name} is a member already{', and the prime' if there.prime else ''}, deployed from this repository; "
            "nothing was written",
            remedy=f"binderbox federation check {name}",
        )
    if name in tree.releases:
        raise DeployRepoError(
            f"{name} is the name of a release of this repository (config/{name}.yaml); nothing was written",
            remedy="give another name with --name",
        )
    for host in config.hosts:
        its = urls.place(host.url)
        # all of a host that the repository deploys is that member's, whatever the path
        taken = its == wanted or (its[:2] == wanted[:2] and deployed(tree, host.name))
        if host.name != name and taken:
            raise DeployRepoError(
                f"{url} is a member already, under the name {host.name}; nothing was written",
                remedy=f"say --name {host.name}, or take it out first: binderbox federation leave {host.name}",
            )
    if why := own_hosts(tree).get(wanted.host):
        raise DeployRepoError(
            f"{wanted.host} is the federation's own host ({why}), not a member's; nothing was written",
            cause="launches that the redirector sends to itself, or to a part of the federation, never arrive",
            remedy="give the address of the member's own BinderHub",
        )
    return there


def refuse_release_host(url: str, lines: Iterable[Line]) -> None:
    """Raises DeployRepoError where a release's own configuration names the host, as config/staging.yaml does staging's."""
    host = urls.host_of(url)
    exact = re.compile(rf"(?<![\w.-]){re.escape(host)}(?![\w-]|\.\w)", re.I)
    for line in lines:
        if RELEASE.fullmatch(line.path) and line.path != CONFIG and exact.search(line.text):
            raise DeployRepoError(
                f"{host} is a host of what this repository deploys ({line.place}); nothing was written",
                remedy="give the address of the member's own BinderHub",
            )


def own_hosts(tree: DeployTree) -> dict[str, str]:
    """Hosts that the federation answers at itself, with where that stands."""
    found: dict[str, str] = {}
    for path in (VALUES, CONFIG):
        data = tree.document(path).data()
        section = data.get(SECTION) if isinstance(data, dict) else None
        host = section.get("host") if isinstance(section, dict) else None
        for name in (host, f"www.{host}") if isinstance(host, str) else ():
            found[name.lower().rstrip(".")] = f"{SECTION}.host in {path}"
    config = tree.document(CONFIG).data()
    for keys, name in _hosts(config, ()):
        if keys[:2] != (SECTION, "hosts"):
            found.setdefault(name, f"{'.'.join(keys)} in {CONFIG}")
    return found


def _hosts(data: Any, keys: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], str]]:
    """(key path, host) of everything in a file that names a host."""
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _hosts(value, (*keys, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _hosts(value, keys)
    elif isinstance(data, str) and keys and (keys[-1] in HOST_KEYS or keys[-1].endswith("url")):
        try:
            yield keys, urls.host_of(data if "://" in data else f"https://{data}")
        except ValueError:
            return
