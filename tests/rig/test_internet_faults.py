"""The rig's Internet fails as it was told to, as often as it was told to, and is well again."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import yaml

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from tests.rig.internet import bodies
from tests.rig.internet.chartindex import NEW
from tests.rig.internet.faults import Fault
from tests.rig.internet.looking import Looker
from tests.rig.internet.releases import ASSETS
from tests.rig.internet.world import ELSEWHERE, World
from tests.waiting import wait_until

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ADDRESS = "127.0.113.2"
CUT = (18, 56)  # curl's words for an end that comes too early, without and with TLS's farewell


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture
def internet(shared: World) -> Iterator[World]:
    yield shared
    shared.faults.clear()
    shared.rate_bytes_s = None


@pytest.fixture(scope="module")
def look(shared: World, tmp_path_factory: pytest.TempPathFactory) -> Looker:
    return Looker(shared, ADDRESS, tmp_path_factory.mktemp("looker"))


@pytest.fixture(scope="module")
def pins(shared: World) -> dict[str, Pin]:
    return versions.parse(shared.versions(pinned=True))


@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.99])
def test_a_connection_is_cut_and_the_next_is_whole(
    internet: World, look: Looker, pins: dict[str, Pin], fraction: float
):
    internet.faults.add("get.helm.sh", r"\.tar\.gz$", Fault(cut=fraction))
    cut, well = look.curl(pins["helm"].source), look.curl(pins["helm"].source)
    assert cut.returncode in CUT
    assert len(cut.stdout) == internet.requests[-2].sent == int(len(well.stdout) * fraction)
    assert hashlib.sha256(well.stdout).hexdigest() == pins["helm"].sha256
    internet.faults.add("get.helm.sh", r"\.tar\.gz$", Fault(cut=fraction))
    with pytest.raises(httpx.RemoteProtocolError):
        look.once(pins["helm"].source)


def test_a_cut_download_is_continued_by_its_range(
    internet: World, look: Looker, pins: dict[str, Pin], tmp_path
):
    internet.faults.add(ASSETS, "/k3s$", Fault(cut=0.5), times=2)
    words = ("-C", "-", "-o", str(tmp_path / "k3s"))
    codes = [look.curl(pins["k3s"].source, *words).returncode for _ in range(3)]
    assert (codes[0] in CUT, codes[1] in CUT, codes[2]) == (True, True, 0)
    assert hashlib.sha256((tmp_path / "k3s").read_bytes()).hexdigest() == pins["k3s"].sha256
    assert [one.status for one in internet.requests if one.host == ASSETS][-3:] == [200, 206, 206]


def test_a_stalled_answer_goes_on_for_as_long_as_somebody_waits(
    internet: World, look: Looker, pins: dict[str, Pin]
):
    internet.faults.add("get.helm.sh", r"\.tar\.gz$", Fault(stall=0.5))
    started = time.monotonic()
    stalled = look.curl(pins["helm"].source, "--max-time", "2")
    assert stalled.returncode == 28
    assert time.monotonic() - started >= 2
    assert len(stalled.stdout) == internet.requests[-1].sent > 0


def test_one_answer_is_slow(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("get.helm.sh", "sha256sum", Fault(rate_bytes_s=50, body=b"x" * 100))
    started = time.monotonic()
    assert look.once(str(pins["helm"].checksum_url)).content == b"x" * 100
    assert time.monotonic() - started >= 1.9


def test_all_hosts_share_one_line(internet: World, look: Looker):
    internet.faults.add("", "^/shared$", Fault(body=b"x" * 500_000), times=None)
    internet.rate_bytes_s = 1_000_000
    hosts = ("github.com", "quay.io")
    threads = [threading.Thread(target=look.curl, args=(f"https://{host}/shared",)) for host in hosts]
    started = time.monotonic()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert time.monotonic() - started >= 0.95
    assert internet.rate_bytes_s == 1_000_000


def test_a_host_is_unwell_twice(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("github.com", "/k3s$", Fault(status=503), times=2)
    assert [look.once(pins["k3s"].source).status_code for _ in range(3)] == [503, 503, 302]


def test_a_host_asks_for_patience(internet: World, look: Looker):
    internet.faults.add("quay.io", "^/v2/", Fault(status=429, headers={"Retry-After": "7"}))
    refused = look.once("https://quay.io/v2/")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "7")
    assert look.once("https://quay.io/v2/").status_code == 401


def test_a_file_is_gone_for_ever(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("hub.jupyter.org", r"\.tgz$", Fault(status=404), times=None)
    assert [look.get(pins["binderhub-chart"].source).status_code for _ in range(5)] == [404] * 5
    assert look.get(str(pins["binderhub-chart"].checksum_url)).status_code == 200


@pytest.mark.parametrize("body", [bodies.HTML, bodies.EMPTY, bodies.TEN_MB], ids=["html", "empty", "10 MB"])
def test_a_body_is_another(internet: World, look: Looker, pins: dict[str, Pin], body: bytes):
    internet.faults.add("get.helm.sh", "sha256sum", Fault(body=body))
    assert look.once(str(pins["helm"].checksum_url)).content == body


@pytest.mark.parametrize("name", ["k3s", "helm", "buildkit", "binderhub-chart"])
def test_a_publishers_list_states_another_sum_or_lacks_the_file(
    internet: World, look: Looker, pins: dict[str, Pin], name: str
):
    url, digest = str(pins[name].checksum_url), str(pins[name].sha256)
    file = pins[name].version if pins[name].kind == "chart" else pins[name].source.rpartition("/")[2]
    host = {"github.com": ASSETS, "jupyterhub.github.io": NEW}.get(url.split("/")[2], url.split("/")[2])
    path = f"/{url.rpartition('/')[2]}$"
    internet.faults.add(host, path, Fault(body=bodies.other_sum(digest)))
    other = look.get(url).text
    internet.faults.add(host, path, Fault(body=bodies.without(file)))
    lacking = look.get(url).text
    well = look.get(url).text
    assert (digest in well, digest in other, digest in lacking) == (True, False, False)
    assert len(other) == len(well)
    if name == "buildkit":
        assert len(json.loads(lacking)["subject"]) == len(json.loads(well)["subject"]) - 1
    elif name == "binderhub-chart":
        assert set(yaml.safe_load(lacking)["entries"]) == set(yaml.safe_load(well)["entries"])
    else:
        assert len(lacking.splitlines()) == len(well.splitlines()) - 1


def test_an_answer_leads_into_the_plain_or_elsewhere(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("get.helm.sh", "", Fault(redirect="http://{host}{target}"))
    assert look.once(pins["helm"].source).headers["Location"] == pins["helm"].source.replace("https", "http")
    internet.faults.add("get.helm.sh", "", Fault(redirect=f"https://{ELSEWHERE}{{target}}"))
    given = look.curl(pins["helm"].source).stdout
    assert hashlib.sha256(given).hexdigest() == pins["helm"].sha256
    assert internet.requests[-1].host == ELSEWHERE
    internet.faults.add("get.helm.sh", "", Fault(redirect="http://{host}{target}"))
    refused = look.curl(pins["helm"].source, "--proto-redir", "=https")
    assert refused.returncode == 1
    assert internet.requests[-1].scheme == "https"


def test_a_question_without_a_body_uses_up_no_fault_of_bodies(
    internet: World, look: Looker, pins: dict[str, Pin]
):
    internet.faults.add("get.helm.sh", "", Fault(cut=0.1))
    assert look.curl(pins["helm"].source, "-I").returncode == 0
    assert look.curl(pins["helm"].source).returncode in CUT


def test_a_registrys_blob_is_cut_too(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("quay.io", "/blobs/", Fault(cut=0.5))
    tag = pins["sample-base"].version
    with pytest.raises(httpx.RemoteProtocolError):
        look.pull("quay.io", "jupyter/base-notebook", tag)
    assert look.pull("quay.io", "jupyter/base-notebook", tag)[0] == pins["sample-base"].sha256


def test_a_manifest_is_not_what_its_digest_says(internet: World, look: Looker, pins: dict[str, Pin]):
    tag = pins["repo2docker"].version
    internet.faults.add("quay.io", "/manifests/2026", Fault(body=lambda right: right + b" "))
    with pytest.raises(AssertionError):
        look.pull("quay.io", "jupyterhub/repo2docker", tag)


def test_an_internet_that_ends_lets_go_of_whom_it_kept_waiting(tmp_path):
    with World("127.0.113.3", tmp_path) as internet:
        look = Looker(internet, "127.0.113.3", tmp_path)
        internet.faults.add("get.helm.sh", "", Fault(stall=0, body=b"never"))
        kept = threading.Thread(target=look.curl, args=("https://get.helm.sh/",))
        kept.start()
        wait_until(lambda: any(one.status for one in internet.requests), 10, "the request")
    kept.join(10)
    assert not kept.is_alive()


def test_a_host_says_nothing_at_all(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("get.helm.sh", "", Fault(silent=True))
    silent = look.curl(pins["helm"].source, "--max-time", "1")
    assert (silent.returncode, silent.stdout) == (28, b"")
    assert look.curl(pins["helm"].source, "-I").returncode == 0


def test_a_host_knows_no_ranges(internet: World, look: Looker, pins: dict[str, Pin]):
    internet.faults.add("get.helm.sh", "", Fault(no_ranges=True))
    first, second = (look.once(pins["helm"].source, Range="bytes=0-9") for _ in range(2))
    assert (first.status_code, second.status_code) == (200, 206)
