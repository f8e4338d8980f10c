"""A member in the federation: it takes its share, launches that come from the prime's pages succeed, and it leaves and
comes back with its health and its versions."""

from __future__ import annotations

import copy
import secrets
import time
import uuid
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from binderbox import layout
from tests.conftest import Installed
from tests.e2e.federated import OURS, THEIRS, URL, authority, browser, federation, serve_slow_repository
from tests.federation.prime import token_of
from tests.federation.serving import Asker
from tests.federation.small_redirector import Redirector
from tests.rig.client import DOMAIN, Client
from tests.rig.host import RigHost

pytestmark = [pytest.mark.host, pytest.mark.long, pytest.mark.timeout(1800)]

LAUNCHES = 400


@pytest.fixture(scope="module")
def installed(rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """A host of these tests' own: it is given a secret, and its hub is stopped."""
    client, host = Client(tmp_path_factory.mktemp("registering")), RigHost.start("registered")
    try:
        yield Installed(host, client, client.install(host, "--json").must())
    finally:
        host.stop()


def launch_by_the_front_page(host: RigHost, redirector: Redirector, path: str) -> httpx.Response:
    """What a visitor's browser gets who opens the prime's page and is sent to our member; read up to the first event."""
    with httpx.Client(base_url=redirector.url, trust_env=False) as visitor:
        token = token_of(visitor.get(f"/v2/{path}").text)
        cookie = {"Cookie": f'host="{URL}"'}
        sent = visitor.get(f"/build/{path}?build_token={token}", headers=cookie)
    assert sent.status_code == 307
    assert sent.headers["Location"].startswith(f"{URL}/build/")
    origin = {"Origin": f"https://127.0.0.1:{redirector.port}", "Accept": "text/event-stream"}
    asker = Asker(ca_pem=authority(host), addresses={DOMAIN: host.address})
    request = asker.client.build_request(
        "GET",
        httpx.URL(sent.headers["Location"]).copy_with(host=host.address),
        headers={**origin, "Host": DOMAIN},
        extensions={"sni_hostname": DOMAIN},
        timeout=60,
    )
    return asker.client.send(request, stream=True)


def until_ready(response: httpx.Response, within_s: float = 120) -> str:
    """All lines of the stream up to `ready` or `failed`."""
    lines, deadline = "", time.monotonic() + within_s
    for line in response.iter_lines():
        lines += f"{line}\n"
        if '"phase": "ready"' in line or '"phase": "failed"' in line:
            break
        assert time.monotonic() < deadline, lines
    response.close()
    return lines


def is_403(response: httpx.Response) -> bool:
    """An event stream has the status 200 whatever happens, and says in its one event what it would have been."""
    return response.status_code == 200 and '"status_code": 403' in until_ready(response)


def test_it_takes_its_share(installed: Installed) -> None:
    with federation(installed.host) as (redirector, prime), httpx.Client(trust_env=False) as visitor:
        redirector.wait_until({THEIRS, OURS}, 60)
        urls = [f"{redirector.url}/build/gh/a/{n}/HEAD" for n in range(LAUNCHES)]
        sent = [visitor.get(url, headers={"Cookie": ""}).headers["Location"] for url in urls]
        ours = sum(one.startswith(f"{URL}/build/gh/") for one in sent)
        assert ours + sum(one.startswith(f"{prime.url}/build/gh/") for one in sent) == LAUNCHES
        assert 0.4 < ours / LAUNCHES < 0.6  # half, by weight; 4 standard deviations


def test_it_leaves_with_its_health_and_its_versions_and_comes_back(installed: Installed) -> None:
    host = installed.host
    with federation(host) as (redirector, prime):
        redirector.wait_until({THEIRS, OURS}, 60)
        same: Any = copy.deepcopy(prime.versions)
        prime.versions = {**same, "binderhub": "newer"}
        redirector.wait_until({THEIRS}, 30)
        assert redirector.standings[OURS].reason == "versions"
        prime.versions = same
        redirector.wait_until({THEIRS, OURS}, 30)

        scale(host, 0)
        try:
            redirector.wait_until({THEIRS}, 120)
            assert redirector.standings[OURS].reason == "unknown"
            assert browser(host).request("GET", f"{URL}/health").status_code == 503
        finally:
            scale(host, 1)
        redirector.wait_until({THEIRS, OURS}, 180)


def scale(host: RigHost, replicas: int) -> None:
    kubectl = [layout.K3S, "kubectl", "-n", layout.HUB_NAMESPACE]
    host.exec([*kubectl, "scale", "deployment/hub", f"--replicas={replicas}"])


def test_launches_from_the_prime_s_pages_need_the_same_secret(installed: Installed) -> None:
    """Last, because it gives the member the secret."""
    host, client = installed.host, installed.client
    secret = secrets.token_bytes(32)
    repository = serve_slow_repository(host, uuid.uuid4().hex, 0).replace(":", "%3A").replace("/", "%2F")
    path = f"git/{repository}/main"
    with federation(host, secret=secret) as (redirector, _):
        refused = launch_by_the_front_page(host, redirector, path)
        assert refused.headers["Access-Control-Allow-Origin"] == "*"
        assert is_403(refused)
        redirector.wait_until({THEIRS, OURS}, 10)  # all its checks are green all the same

    file = client.home / "token"
    file.write_text(secret.hex(), encoding="utf-8")
    client.binderbox(host, "secrets set", "build-token", "--file", str(file), "--json").must()
    assert client.install(host, "--json").must().result["changed"]
    assert client.install(host, "--json").must().result["changed"] == []
    with federation(host, secret=secret) as (redirector, _):
        accepted = launch_by_the_front_page(host, redirector, path)
        assert accepted.status_code == 200
        assert '"phase": "ready"' in until_ready(accepted)
    with federation(host, secret=secrets.token_bytes(32)) as (redirector, _):
        assert is_403(launch_by_the_front_page(host, redirector, path))
