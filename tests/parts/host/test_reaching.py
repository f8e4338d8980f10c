"""Places that an install needs: which these are, and what is told of one that is lost."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.checks.core import run_checks
from binderbox.checks.probe import Reached
from binderbox.decide.facts import Applied
from binderbox.member.model import EgressAllow, Member, Mirror, Proxy
from binderbox.output.results import CheckResult
from binderbox.parts.checks import of
from binderbox.parts.host.reaching import places
from tests.checks.fakes import FakeProbe, artifact, facts

OWN = Member(domain="binder.example.edu", tls="own-ca")
ARTIFACTS = {
    "k3s": artifact("k3s", url="https://github.com/k3s-io/k3s/releases/download/v1/k3s"),
    "helm": artifact("helm", url="https://get.helm.sh/helm.tar.gz"),
    "traefik": artifact("traefik", pull="docker.io/library/traefik@sha256:1"),
    "own": artifact("own", file="own.tar"),
}
HOSTS = (
    "auth.docker.io", "get.helm.sh", "github.com", "production.cloudflare.docker.com", "registry-1.docker.io",
    "release-assets.githubusercontent.com",
)  # fmt: skip


def run(member: Member = OWN, **changes: Any) -> CheckResult:
    probe = FakeProbe(member=member, **{"artifacts": ARTIFACTS, **changes})
    return next(one for one in run_checks(of("host"), probe) if one.id == "BBX-H31")


def test_each_host_is_asked_once_and_those_that_it_sends_on_to() -> None:
    assert places(OWN, ARTIFACTS.values()) == tuple(f"https://{host}/" for host in HOSTS)


def test_the_authority_is_one_of_them() -> None:
    member = Member(domain="binder.example.edu", acme_server="https://ca.example.edu/dir")
    assert places(member, ()) == ("https://ca.example.edu/dir",)


def test_nothing_is_asked_of_a_bundle() -> None:
    probe = FakeProbe(member=OWN, artifacts={"own": artifact("own", file="own.tar")})
    found = next(one for one in run_checks(of("host"), probe) if one.id == "BBX-H31")
    assert (found.verdict, probe.asked) == ("skip", [])


MIRRORED = Member(
    domain="binder.example.edu",
    tls="own-ca",
    mirrors=(
        Mirror(registry="docker.io", endpoints=("https://mirror.example.edu", "http://10.1.2.3:5000/")),
    ),
)


def test_mirrors_are_asked_in_the_place_of_their_registry() -> None:
    assert places(MIRRORED, ARTIFACTS.values()) == (
        "http://10.1.2.3:5000/v2/",
        "https://get.helm.sh/",
        "https://github.com/",
        "https://mirror.example.edu/v2/",
        "https://release-assets.githubusercontent.com/",
    )


def test_a_mirror_that_builds_may_not_reach_is_told_with_its_address() -> None:
    url = "https://mirror.example.edu/v2/"
    there = {url: Reached(url, 0, address="10.9.9.9")}
    found = run(MIRRORED, lost=there)
    assert (found.verdict, found.measured) == ("fail", "mirror.example.edu is 10.9.9.9")
    assert "egress_allow" in found.fix
    allowed = MIRRORED.model_copy(
        update={"egress_allow": (EgressAllow(network="10.9.9.0/24", ports=(443,)),)}
    )
    assert run(allowed, lost=there).verdict == "pass"
    assert run(MIRRORED, lost={url: Reached(url, 0, address="9.9.9.9")}).verdict == "pass"


def lost(host: str, code: int, said: str = "", signed: str = "") -> dict[str, Reached]:
    return {f"https://{host}/": Reached(f"https://{host}/", code, said, signed)}


@pytest.mark.parametrize(
    ("code", "said", "signed", "measured", "fix"),
    [
        (6, "curl: (6) Could not resolve host: get.helm.sh", "", "get.helm.sh: the host's resolver does not know it", "resolver"),
        (28, "curl: (28) Resolving timed out after 4000 milliseconds", "", "get.helm.sh: the host's resolver does not answer", "resolver"),
        (7, "curl: (7) Failed to connect to get.helm.sh port 443", "", "get.helm.sh: Failed to connect to get.helm.sh port 443", "open outgoing TCP 443"),
        (28, "curl: (28) Connection timed out", "", "get.helm.sh: Connection timed out", "open outgoing TCP 443"),
        (60, "curl: (60) SSL certificate problem", "CN = The Box", "get.helm.sh: its certificate is by CN = The Box", "extra_ca"),
    ],
)  # fmt: skip
def test_what_is_lost_is_named_with_its_reason(
    code: int, said: str, signed: str, measured: str, fix: str
) -> None:
    found = run(lost=lost("get.helm.sh", code, said, signed))
    assert (found.verdict, found.measured) == ("fail", measured)
    assert fix in found.fix


def test_a_member_that_has_everything_is_only_warned() -> None:
    installed = facts(applied=Applied("domain: binder.example.edu\n"))
    assert run(facts=installed, lost=lost("get.helm.sh", 7, "curl: (7) refused")).verdict == "warn"


@pytest.mark.parametrize(
    ("server", "address", "allowed", "verdict"),
    [
        ("https://ca.example.edu/dir", "9.9.9.9", (), "pass"),
        (
            "https://ca.example.edu:14000/dir",
            "9.9.9.9",
            (),
            "fail",
        ),  # pods reach some ports of public addresses
        ("https://ca.example.edu/dir", "10.9.9.9", (), "fail"),
        ("https://ca.example.edu:14000/dir", "10.9.9.9", (14000,), "pass"),
    ],
)
def test_an_authority_that_the_ingress_may_not_reach_is_told(
    server: str, address: str, allowed: tuple[int, ...], verdict: str
) -> None:
    egress = (EgressAllow(network="10.9.9.0/24", ports=allowed),) if allowed else ()
    member = Member(domain="binder.example.edu", acme_server=server, egress_allow=egress)
    found = run(member, artifacts={}, lost={server: Reached(server, 0, address=address)})
    assert found.verdict == verdict
    if verdict == "fail":
        assert address in found.measured
        assert "egress_allow" in found.fix


def test_a_proxy_that_pods_may_not_reach_is_told_by_its_own_address() -> None:
    url = "http://proxy.example.edu:3128"
    there = {f"https://{host}/": Reached(f"https://{host}/", 0, address="9.9.9.9") for host in HOSTS}
    member = OWN.model_copy(update={"proxy": Proxy(http=url, https=url)})
    found = run(member, lost=there)
    assert (found.verdict, found.measured) == ("fail", "proxy.example.edu:3128 is 9.9.9.9")
    allowed = member.model_copy(update={"egress_allow": (EgressAllow(network="9.9.9.9/32", ports=(3128,)),)})
    assert run(allowed, lost=there).verdict == "pass"


def test_a_proxy_that_wants_a_login_is_told_with_the_command() -> None:
    member = OWN.model_copy(update={"proxy": Proxy(https="http://proxy.example.edu:3128")})
    found = run(member, lost=lost("get.helm.sh", 56, "curl: (56) CONNECT tunnel failed, response 407"))
    assert "the proxy wants a login" in found.measured
    assert "binderbox secrets set host.example proxy-url" in found.fix


SITE = OWN.model_copy(
    update={"proxy": Proxy(http="http://proxy.example.edu:3128", https="http://proxy.example.edu:3128")}
)


@pytest.mark.parametrize(
    ("code", "said", "measured", "fix"),
    [
        (35, "curl: (35) OpenSSL/3.0: error:0A00010B:SSL routines::wrong version number", "answers with a page of its own", "proxy.https"),
        (56, "curl: (56) CONNECT tunnel failed, response 503", "the proxy refuses it with 503", "ask the keeper of proxy.example.edu:3128"),
        (56, "curl: (56) Received HTTP code 403 from proxy after CONNECT, response 403", "refuses it with 403", "proxy.example.edu:3128"),
        (56, "curl: (56) Proxy CONNECT aborted", "the proxy breaks off", "proxy.https"),
        (5, "curl: (5) Could not resolve proxy: proxy.example.edu", "does not know the proxy proxy.example.edu", "proxy.https"),
        (7, "curl: (7) Failed to connect to proxy.example.edu port 3128", "proxy.example.edu:3128 takes no connection", "proxy.https"),
        (60, "curl: (60) SSL certificate problem", "its certificate is by", "extra_ca"),
    ],
)  # fmt: skip
def test_what_the_proxy_does_is_told_as_the_proxys(code: int, said: str, measured: str, fix: str) -> None:
    found = run(SITE, lost=lost("get.helm.sh", code, said))
    assert found.verdict == "fail"
    assert measured in found.measured
    assert fix in found.fix


@pytest.mark.parametrize(
    ("status", "kind", "measured"),
    [
        (200, "text/html; charset=utf-8", "no registry answers there, but a page with HTTP 200"),
        (404, "text/plain", "no registry answers there, but an answer with HTTP 404"),
        (302, "", "no registry answers there, but an answer with HTTP 302"),
        (200, "application/json", ""),
        (401, "application/json", ""),
        (0, "", ""),
    ],
)
def test_a_mirror_is_asked_as_a_registry(status: int, kind: str, measured: str) -> None:
    url = "https://mirror.example.edu/v2/"
    found = run(MIRRORED, lost={url: Reached(url, 0, address="9.9.9.9", status=status, kind=kind)})
    assert found.verdict == ("fail" if measured else "pass")
    if measured:
        assert found.measured == f"mirror.example.edu: {measured}"
        assert "`mirrors`" in found.fix


@pytest.mark.parametrize(
    ("status", "kind", "verdict"),
    [
        (503, "application/problem+json", "fail"),
        (200, "text/html", "fail"),
        (200, "application/json", "pass"),
    ],
)
def test_an_authority_that_shows_no_directory_is_told(status: int, kind: str, verdict: str) -> None:
    member = Member(domain="binder.example.edu", acme_server="https://ca.example.edu/dir")
    url = "https://ca.example.edu/dir"
    found = run(
        member, artifacts={}, lost={url: Reached(url, 0, address="9.9.9.9", status=status, kind=kind)}
    )
    assert found.verdict == verdict
    assert verdict == "pass" or "acme_server" in found.fix
