"""Whether the host reaches what an install will ask of the outside: each place by name, before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Reached, Skip
from binderbox.decide import urls
from binderbox.member.model import Member
from binderbox.parts.firewall.addresses import PUBLIC_TCP_PORTS
from binderbox.parts.host.lost import lost, mirrors_of
from binderbox.parts.ingress import acme

# Who sends on to whom: a registry's tokens and blobs, a release's files.
BEHIND: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"),
    "jupyterhub.github.io": ("jupyterhub.github.io", "hub.jupyter.org"),
    "github.com": ("github.com", "release-assets.githubusercontent.com"),
}


@dataclass(frozen=True)
class Places:
    """What came of each place; `closed` are those of the site, with their addresses, that pods or builds may not reach."""

    reached: tuple[Reached, ...]
    closed: tuple[tuple[str, str], ...]
    member: Member
    installed: bool  # a member, which may have all that it needs


def look_places(probe: Probe) -> Places:
    member = probe.member
    if member.offline:
        raise Skip("the config says offline: true")
    urls = places(member, probe.artifacts.values())
    if not urls:
        raise Skip("everything is in the bundle")
    reached = probe.reach(urls)
    return Places(reached, tuple(_closed(reached, member)), member, probe.facts.applied is not None)


def _closed(reached: Sequence[Reached], member: Member) -> Iterator[tuple[str, str]]:
    """Addresses, and where they lead, that builds or pods must reach and the firewall keeps them from.

    BuildKit asks mirrors, pods ask the authority, both ask the proxy: all are held to some ports of public addresses.
    """
    asked = [(one.url, one.address) for one in reached if one.address]
    if member.proxy.https:  # then it is the proxy that answers from everywhere
        asked = [(member.proxy.https, address) for _, address in asked[:1]]
    else:
        theirs = {*mirrors_of(member), acme.server(member)}
        asked = [(url, address) for url, address in asked if url in theirs]
    for url, address in asked:
        port = urls.port(url)
        public = ip_address(address).is_global and port in PUBLIC_TCP_PORTS
        if not public and not _allowed(address, port, member):
            yield url, address


def _allowed(address: str, port: int, member: Member) -> bool:
    return any(
        ip_address(address) in ip_network(one.network) and port in one.ports for one in member.egress_allow
    )


def places(member: Member, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """Addresses, one for each host; none for what a bundle brings, and mirrors in the place of their registries."""
    mirrored = {one.registry for one in member.mirrors}
    found = set(mirrors_of(member))
    for one in artifacts:
        if one.file is not None or one.followed:  # which is on the node
            continue
        source = one.url or (f"https://{one.pull}" if one.pull else "")
        host = urlsplit(source).netloc
        if host and host not in mirrored:
            found.update(f"https://{each}/" for each in BEHIND.get(host, (host,)))
    return (*sorted(found), acme.server(member)) if member.tls == "acme" else tuple(sorted(found))


def judge_places(found: Places) -> Verdict:
    told = lost(found.reached, found.member)
    verdict = warned if found.installed else failed
    if told:
        said = "; ".join(f"{urlsplit(one.url).netloc}: {one.why}" for one in told)
        ways = "; ".join(dict.fromkeys(one.way_out for one in told))
        return verdict(said, "an answer from each, with a certificate that the host trusts", ways)
    if found.closed:
        said = ", ".join(f"{urlsplit(url).netloc} is {address}" for url, address in found.closed)
        needed = (
            "leave for builds and pods to reach it: not each address is public, and not each port is open"
        )
        return verdict(said, needed, "name their networks and ports in `egress_allow`")
    return passed(", ".join(str(urlsplit(one.url).hostname) for one in found.reached))
