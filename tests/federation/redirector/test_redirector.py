"""The small redirector with small members: the whole path over HTTP, as other tests rely on it."""

from __future__ import annotations

import ssl
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx
import pytest

from binderbox.parts.secrets.ca import KeyPair, make_ca, make_leaf
from tests.federation.prime import VERSIONS, Prime, make_health, token_of
from tests.federation.small_redirector import Ended, Redirector, active_of

QUICK = {"period": 0.2, "jitter": 0.1, "retries": 2, "timeout": 1, "failed_period": 0.3}


@pytest.fixture
def members() -> Iterator[dict[str, Prime]]:
    with ExitStack() as stack:
        yield {name: stack.enter_context(Prime()) for name in ("a", "b", "c")}


def section(members: dict[str, Prime], **more: Any) -> dict[str, Any]:
    hosts = {name: one.entry(prime=name == "a") for name, one in members.items()}
    return {"check": QUICK, "load_balancer": "random", "hosts": hosts, **more}


def test_member_with_other_versions_leaves_and_comes_back(members: dict[str, Prime]) -> None:
    with Redirector(section(members)) as redirector:
        members["b"].versions = {**VERSIONS, "binderhub": "newer"}
        redirector.wait_until("ac", 2)
        assert redirector.standings["b"].reason == "versions"
        members["b"].versions = VERSIONS
        redirector.wait_until("abc", 3)


def test_prime_with_new_versions_takes_the_others_out(members: dict[str, Prime]) -> None:
    with Redirector(section(members)) as redirector:
        time.sleep(0.3)
        members["a"].versions = {**VERSIONS, "binderhub": "newer"}
        members["a"].status = 503  # even an unhealthy prime sets the reference
        redirector.wait_until("", 5)
        assert redirector.standings["c"].reason == "versions"
        assert redirector.redirect("/build/gh/x/y/HEAD", "").name == "a"


def test_full_member_gets_no_launch(members: dict[str, Prime]) -> None:
    members["b"].health = make_health(50, 60)
    members["c"].health = make_health(49, 60)
    with (
        Redirector(section(members)) as redirector,
        httpx.Client(base_url=redirector.url, trust_env=False) as client,
    ):
        redirector.wait_until("ac", 2)
        answers = [client.get("/build/gh/x/y/HEAD?a=1", headers={"Cookie": ""}) for _ in range(60)]
        went = {one.headers["Location"] for one in answers}
        assert went == {f"{members[name].url}/build/gh/x/y/HEAD?a=1" for name in "ac"}
        assert {one.status_code for one in answers} == {307}
        assert active_of(client.get("/active_hosts")) == {"a", "c"}


def test_page_of_the_prime_has_a_token_that_members_with_the_same_secret_accept(
    members: dict[str, Prime],
) -> None:
    members["c"].secret = b"another secret of 32 bytes......"
    with (
        Redirector(section(members)) as redirector,
        httpx.Client(base_url=redirector.url, trust_env=False) as client,
    ):
        page = client.get("/v2/gh/x/y/HEAD")
        origin = {"Origin": f"https://127.0.0.1:{redirector.port}"}
        token = token_of(page.text)
        for name, status in (("b", 200), ("c", 403)):
            cookie = {"Cookie": f'host="{members[name].url}"'}
            there = client.get(f"/build/gh/x/y/HEAD?build_token={token}", headers=cookie).headers["Location"]
            assert there.startswith(members[name].url)
            answer = httpx.get(there, headers=origin, trust_env=False)
            assert answer.status_code == status
            assert answer.headers["Access-Control-Allow-Origin"] == "*"


def test_dead_prime_takes_the_pages_with_it(members: dict[str, Prime]) -> None:
    members["a"].close()
    with Redirector(section(members)) as redirector:
        redirector.wait_until("bc", 5)
        assert httpx.get(f"{redirector.url}/", trust_env=False).status_code == 500


def serving(folder: Path, authority: KeyPair, name: str) -> ssl.SSLContext:
    leaf = make_leaf(authority, [name])
    (folder / name).write_text(leaf.certificate_pem + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / name)
    return context


def test_members_by_name_over_tls(tmp_path: Path) -> None:
    """Names that no DNS knows: one with a good certificate, one for another name, one of a stranger's authority."""
    ours, strange = make_ca("ours"), make_ca("strange")
    good = serving(tmp_path, ours, "a.example")
    with (
        Prime(host="a.example", tls=good) as a,
        Prime(host="b.example", tls=good) as b,
        Prime(host="c.example", tls=serving(tmp_path, strange, "c.example")) as c,
    ):
        hosts = {"a": a.entry(), "b": b.entry(prime=False), "c": c.entry(prime=False)}
        addresses = dict.fromkeys(("a.example", "b.example", "c.example"), "127.0.0.1")
        section = {"check": QUICK, "hosts": hosts}
        with Redirector(section, ca_pem=ours.certificate_pem, addresses=addresses) as redirector:
            redirector.wait_until("a", 10)
            assert {redirector.standings[name].reason for name in "bc"} == {"unknown"}
            assert "certificate" in redirector.standings["b"].detail
            assert redirector.redirect("/build/gh/x/y/HEAD", "").url == f"https://a.example:{a.port}"
            page = httpx.get(f"{redirector.url}/v2/gh/x/y/HEAD", trust_env=False)
            assert a.accepts(token_of(page.text), "gh/x/y/HEAD", f"127.0.0.1:{redirector.port}")


def test_member_that_answers_slowly_or_with_a_page_is_out(members: dict[str, Prime]) -> None:
    members["b"].delays = {"/health": 1.5}
    members["c"].page = {"/versions": "<html>not here</html>"}
    with Redirector(section(members)) as redirector:
        redirector.wait_until("a", 8)
        assert "/health" in redirector.standings["b"].detail
        assert "no JSON" in redirector.standings["c"].detail


def test_it_ends_without_a_prime(members: dict[str, Prime]) -> None:
    wrong = section(members)
    wrong["hosts"]["a"]["weight"] = 0
    with pytest.raises(Ended, match="no prime is left"):
        Redirector(wrong)
