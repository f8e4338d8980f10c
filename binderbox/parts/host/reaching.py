"""Whether the host reaches what an install will ask of the outside: each place by name, before anything changes."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from binderbox.artifacts.resolve import Artifact
from binderbox.checks.core import Verdict, failed, passed, warned
from binderbox.checks.probe import Probe, Reached, Skip
from binderbox.member.model import Member
from binderbox.parts.ingress import acme

# Who sends on to whom: a registry's tokens and blobs, a release's files.
BEHIND: Mapping[str, tuple[str, ...]] = {
    "docker.io": ("registry-1.docker.io", "auth.docker.io", "production.cloudflare.docker.com"),
    "github.com": ("github.com", "release-assets.githubusercontent.com"),
}
NO_NAME, NO_TLS, UNTRUSTED = 6, 35, 60  # curl's exit codes
BUNDLE = "or make a bundle elsewhere by binderbox bundle create DIR, set offline: true, and install with --bundle DIR"


@dataclass(frozen=True)
class Places:
    """What came of each place, and whether the host is a member already, which may have all that it needs."""

    reached: tuple[Reached, ...]
    installed: bool


def look_places(probe: Probe) -> Places:
    if probe.member.offline:
        raise Skip("the config says offline: true")
    urls = places(probe.member, probe.artifacts.values())
    if not urls:
        raise Skip("everything is in the bundle")
    return Places(probe.reach(urls), probe.facts.applied is not None)


def places(member: Member, artifacts: Iterable[Artifact]) -> tuple[str, ...]:
    """Addresses, one for each host; none for what a bundle brings."""
    hosts: set[str] = set()
    for one in artifacts:
        if one.file is None and not one.followed:  # which is on the node
            source = one.url or (f"https://{one.pull}" if one.pull else "")
            host = urlsplit(source).netloc
            hosts.update(BEHIND.get(host, (host,)) if host else ())
    found = [f"https://{host}/" for host in sorted(hosts)]
    return (*found, acme.server(member)) if member.tls == "acme" else tuple(found)


def judge_places(found: Places) -> Verdict:
    lost = [one for one in found.reached if one.code]
    if not lost:
        return passed(", ".join(str(urlsplit(one.url).hostname) for one in found.reached))
    told = "; ".join(f"{urlsplit(one.url).netloc}: {_why(one)}" for one in lost)
    verdict = warned if found.installed else failed
    return verdict(told, "an answer from each, with a certificate that the host trusts", _way_out(lost))


def _why(one: Reached) -> str:
    if one.code == NO_NAME:
        return "the host's resolver does not know it"
    if one.code == UNTRUSTED:
        return f"its certificate is by {one.signed or 'somebody whom the host does not know'}"
    return one.said.partition(") ")[2] or one.said or f"curl ended with {one.code}"


def _way_out(lost: Iterable[Reached]) -> str:
    codes = {one.code for one in lost}
    if codes <= {UNTRUSTED, NO_TLS}:
        return "where a box of the site ends TLS, put its authority into extra_ca"
    if codes == {NO_NAME}:
        return f"let the host have a resolver that knows public names, {BUNDLE}"
    return f"open outgoing TCP 443 at the provider's firewall; {BUNDLE}"
