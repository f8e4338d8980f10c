"""Whether the host reaches what an install will ask of the outside: each place by name, before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from ipaddress import ip_address, ip_network
from urllib.parse import urlsplit

from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Reached, Skip
from binderbox.decide import proxies
from binderbox.member.model import Member
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
    """What came of each place; `closed` are mirrors and the proxy, with their addresses, that builds may not reach."""

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
    mirrors = {f"{endpoint}/" for one in member.mirrors for endpoint in one.endpoints}
    closed = tuple(
        (one.url, one.address) for one in reached if one.url in mirrors and not _open_to_builds(one, member)
    )
    if (port := proxies.port(member)) and (answered := next((one for one in reached if one.address), None)):
        by = replace(answered, url=f"{urlsplit(str(member.proxy.https)).scheme}://:{port}/")
        closed = () if _open_to_builds(by, member) else ((str(member.proxy.https), answered.address),)
    return Places(reached, closed, probe.facts.applied is not None)


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


def _open_to_builds(one: Reached, member: Member) -> bool:
    """BuildKit asks mirrors itself, and is held to public addresses and `egress_allow`."""
    if not one.address or ip_address(one.address).is_global:
        return True
    parts = urlsplit(one.url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return any(
        ip_address(one.address) in ip_network(allow.network) and port in allow.ports
        for allow in member.egress_allow
    )


def judge_places(found: Places) -> Verdict:
    lost = [one for one in found.reached if one.code]
    verdict = warned if found.installed else failed
    if lost:
        told = "; ".join(f"{urlsplit(one.url).netloc}: {_why(one)}" for one in lost)
        return verdict(told, "an answer from each, with a certificate that the host trusts", _way_out(lost))
    if found.closed:
        told = ", ".join(f"{urlsplit(url).netloc} is {address}" for url, address in found.closed)
        needed = "mirrors and a proxy that builds may reach, although their addresses are not public"
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
