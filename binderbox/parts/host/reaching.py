"""Whether the host reaches what an install will ask of the outside: each place by name, before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Reached, Skip
from binderbox.decide import proxies
from binderbox.member.model import Member
from binderbox.parts.firewall.addresses import PUBLIC_TCP_PORTS
from binderbox.parts.ingress import acme

# Who sends on to whom: a registry's tokens and blobs, a release's files.
BEHIND: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"),
    "jupyterhub.github.io": ("jupyterhub.github.io", "hub.jupyter.org"),
    "github.com": ("github.com", "release-assets.githubusercontent.com"),
}
NO_NAME, NO_TLS, UNTRUSTED = 6, 35, 60  # curl's exit codes
BUNDLE = "or make a bundle elsewhere by binderbox bundle create DIR, set offline: true, and install with --bundle DIR"


@dataclass(frozen=True)
class Places:
    """What came of each place; `closed` are those of the site, with their addresses, that pods or builds may not reach."""

    reached: tuple[Reached, ...]
    closed: tuple[tuple[str, str], ...]
    installed: bool  # a member, which may have all that it needs


def look_places(probe: Probe) -> Places:
    member = probe.member
    if member.offline:
        raise Skip("the config says offline: true")
    urls = places(member, probe.artifacts.values())
    if not urls:
        raise Skip("everything is in the bundle")
    reached = probe.reach(urls)
    return Places(reached, tuple(_closed(reached, member)), probe.facts.applied is not None)


def _closed(reached: Sequence[Reached], member: Member) -> Iterator[tuple[str, str]]:
    """Addresses, and where they lead, that builds or pods must reach and the firewall keeps them from.

    BuildKit asks mirrors, held to public addresses; pods ask the authority and the proxy, held to some ports, too.
    """
    mirrors = {f"{endpoint}/" for one in member.mirrors for endpoint in one.endpoints}
    asked = [(one.url, one.address, one.url == acme.server(member)) for one in reached if one.address]
    if member.proxy.https:  # then it is the proxy that answers from everywhere
        asked = [(member.proxy.https, address, True) for _, address, _ in asked[:1]]
    for url, address, by_pods in asked:
        if not (by_pods or url in mirrors):
            continue
        port = urlsplit(url).port or (443 if url.startswith("https://") else 80)
        public = ip_address(address).is_global and (port in PUBLIC_TCP_PORTS or not by_pods)
        if not public and not _allowed(address, port, member):
            yield url, address


def _allowed(address: str, port: int, member: Member) -> bool:
    return any(
        ip_address(address) in ip_network(one.network) and port in one.ports for one in member.egress_allow
    )


def places(member: Member, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """Addresses, one for each host; none for what a bundle brings, and mirrors in the place of their registries."""
    mirrored = {one.registry for one in member.mirrors}
    found = {f"{endpoint}/" for one in member.mirrors for endpoint in one.endpoints}
    for one in artifacts:
        if one.file is not None or one.followed:  # which is on the node
            continue
        source = one.url or (f"https://{one.pull}" if one.pull else "")
        host = urlsplit(source).netloc
        if host and host not in mirrored:
            found.update(f"https://{each}/" for each in BEHIND.get(host, (host,)))
    return (*sorted(found), acme.server(member)) if member.tls == "acme" else tuple(sorted(found))


def judge_places(found: Places) -> Verdict:
    lost = [one for one in found.reached if one.code]
    verdict = warned if found.installed else failed
    if lost:
        told = "; ".join(f"{urlsplit(one.url).netloc}: {_why(one)}" for one in lost)
        return verdict(told, "an answer from each, with a certificate that the host trusts", _way_out(lost))
    if found.closed:
        told = ", ".join(f"{urlsplit(url).netloc} is {address}" for url, address in found.closed)
        needed = (
            "leave for builds and pods to reach it: not each address is public, and not each port is open"
        )
        return verdict(told, needed, "name their networks and ports in `egress_allow`")
    return passed(", ".join(str(urlsplit(one.url).hostname) for one in found.reached))


def _why(one: Reached) -> str:
    if "407" in one.said:
        return "the proxy wants a login"
    if one.code == NO_NAME:
        return "the host's resolver does not know it"
    if one.code == UNTRUSTED:
        return f"its certificate is by {one.signed or 'somebody whom the host does not know'}"
    return one.said.partition(") ")[2] or one.said or f"curl ended with {one.code}"


def _way_out(lost: Iterable[Reached]) -> str:
    codes = {one.code for one in lost}
    if any("407" in one.said for one in lost):
        return f"give it: binderbox secrets set HOST {proxies.LOGIN_SECRET}"
    if codes <= {UNTRUSTED, NO_TLS}:
        return "where a box of the site ends TLS, put its authority into extra_ca"
    if codes == {NO_NAME}:
        return f"let the host have a resolver that knows public names, {BUNDLE}"
    return f"open outgoing TCP 443 at the provider's firewall; {BUNDLE}"
