"""Every host of the rig's Internet answers as the real one of its name does, with the rig's own artifacts."""

from __future__ import annotations

import hashlib
import io
import posixpath
import tarfile
from collections.abc import Iterator
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
import yaml

from binderbox.artifacts import followable, versions
from binderbox.artifacts.versions import Pin
from tests.rig.internet.looking import Looker
from tests.rig.internet.world import World

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ADDRESS = "127.0.113.1"
IMAGES = ("objectstore", "registry", "traefik", "repo2docker", "build-base", "sample-base")
HOSTS = {"docker.io": "registry-1.docker.io"}


@pytest.fixture(scope="module")
def internet(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture(scope="module")
def look(internet: World, tmp_path_factory: pytest.TempPathFactory) -> Looker:
    return Looker(internet, ADDRESS, tmp_path_factory.mktemp("looker"))


@pytest.fixture(scope="module")
def pins(internet: World) -> dict[str, Pin]:
    return versions.parse(internet.versions(pinned=True))


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def test_its_versions_are_the_shipped_tables_with_the_rigs_versions(internet: World, pins: dict[str, Pin]):
    shipped, unpinned = versions.load(), versions.parse(internet.versions(pinned=False))
    assert list(unpinned) == list(shipped)
    assert not any(pin.sha256 for pin in unpinned.values())
    assert followable.parse(internet.versions(pinned=False)) == followable.load()
    assert all(pin.sha256 for pin in pins.values())
    assert {pin.of for pin in pins.values() if pin.of} == {"binderhub-chart", "cryptnono-chart"}
    for name, pin in unpinned.items():
        assert (pin.kind, pin.by_tag, pin.images_of) == (
            shipped[name].kind,
            shipped[name].by_tag,
            shipped[name].images_of,
        )
        assert posixpath.dirname(pin.source.partition(":")[0]) == posixpath.dirname(
            shipped[name].source.partition(":")[0]
        )


@pytest.mark.parametrize(
    "name", ["k3s", "k3s-images", "buildkit", "helm", "binderhub-chart", "cryptnono-chart"]
)
def test_a_file_comes_from_where_versions_says(look: Looker, pins: dict[str, Pin], name: str):
    assert sha256(look.get(pins[name].source).content) == pins[name].sha256
    assert sha256(look.curl(pins[name].source).stdout) == pins[name].sha256


def test_an_asset_of_a_release_is_handed_out_by_another_host(look: Looker, pins: dict[str, Pin]):
    moved = look.once(pins["k3s"].source)
    location = moved.headers["Location"]
    assert "%2Brig" in pins["k3s"].source
    assert moved.status_code == 302
    assert location.startswith("https://release-assets.githubusercontent.com/")
    assert "sp=r&" in location
    assert look.once(location.partition("?")[0]).status_code == 403
    assert look.once("https://github.com/k3s-io/k3s/releases/download/v0/k3s").status_code == 404


def test_a_download_goes_on_where_it_ended(look: Looker, pins: dict[str, Pin], tmp_path: Path):
    url = look.once(pins["buildkit"].source).headers["Location"]
    whole = look.once(url)
    part = look.once(url, Range="bytes=1000-")
    assert (whole.headers["Accept-Ranges"], part.status_code) == ("bytes", 206)
    assert part.content == whole.content[1000:]
    assert part.headers["Content-Range"] == f"bytes 1000-{len(whole.content) - 1}/{len(whole.content)}"
    assert look.once(url, Range="bytes=5-9").content == whole.content[5:10]
    assert look.once(url, Range="bytes=-10").content == whole.content[-10:]
    assert look.once(url, Range=f"bytes={len(whole.content)}-").status_code == 416
    assert look.once(url, **{"Range": "bytes=5-9", "If-Range": whole.headers["ETag"]}).status_code == 206
    assert look.once(url, **{"Range": "bytes=5-9", "If-Range": '"another"'}).status_code == 200
    begun = tmp_path / "part"
    begun.write_bytes(whole.content[:1000])
    assert look.curl(pins["buildkit"].source, "-C", "-", "-o", str(begun)).returncode == 0
    assert sha256(begun.read_bytes()) == pins["buildkit"].sha256


@pytest.mark.parametrize("name", ["k3s", "k3s-images", "helm"])
def test_lists_state_the_sums_of_files_by_their_names(look: Looker, pins: dict[str, Pin], name: str):
    text = look.get(str(pins[name].checksum_url)).text
    stated = {file: digest for digest, file in map(str.split, text.splitlines())}
    assert stated[posixpath.basename(pins[name].source)] == pins[name].sha256


def test_buildkits_provenance_states_several_subjects(look: Looker, pins: dict[str, Pin]):
    statement = look.get(str(pins["buildkit"].checksum_url)).json()
    subjects = {one["name"]: one["digest"]["sha256"] for one in statement["subject"]}
    assert len(subjects) > 1
    assert subjects[posixpath.basename(pins["buildkit"].source)] == pins["buildkit"].sha256


@pytest.mark.parametrize(("name", "repository"), [("k3s", "k3s-io/k3s"), ("buildkit", "moby/buildkit")])
def test_githubs_api_states_digests_too(look: Looker, pins: dict[str, Pin], name: str, repository: str):
    tag = pins[name].version.replace("+", "%2B")
    release = look.once(f"https://api.github.com/repos/{repository}/releases/tags/{tag}").json()
    (asset,) = [one for one in release["assets"] if one["browser_download_url"] == pins[name].source]
    assert asset["digest"] == f"sha256:{pins[name].sha256}"
    assert asset["size"] == len(look.get(pins[name].source).content)
    missing = f"https://api.github.com/repos/{repository}/releases/tags/v0"
    assert look.once(missing).json()["message"] == "Not Found"


def test_the_chart_index_has_moved_and_names_its_old_host(look: Looker, pins: dict[str, Pin]):
    moved = look.once(str(pins["binderhub-chart"].checksum_url))
    assert (moved.status_code, moved.headers["Location"]) == (
        301,
        "https://hub.jupyter.org/helm-chart/index.yaml",
    )
    entries = yaml.safe_load(look.get(str(pins["binderhub-chart"].checksum_url)).text)["entries"]
    (entry,) = [one for one in entries["binderhub"] if one["version"] == pins["binderhub-chart"].version]
    assert entry["digest"] == pins["binderhub-chart"].sha256
    assert entry["urls"] == [pins["binderhub-chart"].source]
    assert len(entries) > 1
    assert len(entries["binderhub"]) > 1


def test_the_chart_names_images_that_quay_has(look: Looker, pins: dict[str, Pin]):
    with tarfile.open(fileobj=io.BytesIO(look.get(pins["binderhub-chart"].source).content)) as chart:
        values = yaml.safe_load(chart.extractfile("binderhub/values.yaml") or b"")
    binder, hub = values["image"], values["jupyterhub"]["hub"]["image"]
    assert (binder["name"], hub["name"]) == ("quay.io/jupyterhub/k8s-binderhub", "quay.io/jupyterhub/k8s-hub")
    pulled = {look.pull("quay.io", one["name"].partition("/")[2], one["tag"])[0] for one in (binder, hub)}
    assert len(pulled) == 1


@pytest.mark.parametrize("name", IMAGES)
def test_a_whole_image_is_pulled_with_a_token_and_has_its_digests(
    internet: World, look: Looker, pins: dict[str, Pin], name: str
):
    registry, _, rest = pins[name].source.partition("/")
    repository, _, tag = rest.partition(":")
    digest, _ = look.pull(HOSTS.get(registry, registry), repository, tag)
    assert digest == pins[name].sha256
    assert (
        pins[name].checksum_url == f"https://{HOSTS.get(registry, registry)}/v2/{repository}/manifests/{tag}"
    )
    assert look.pull(HOSTS.get(registry, registry), repository, f"sha256:{digest}")[0] == digest
    assert not internet.leaked


def test_tokens_are_had_where_each_registry_has_them_and_are_for_pulling_one_repository(look: Looker):
    docker = look.once("https://registry-1.docker.io/v2/library/registry/manifests/x").headers
    quay = look.once("https://quay.io/v2/jupyter/base-notebook/manifests/x").headers
    assert docker["WWW-Authenticate"] == (
        'Bearer realm="https://auth.docker.io/token",service="registry.docker.io",scope="repository:library/registry:pull"'
    )
    assert 'realm="https://quay.io/v2/auth"' in quay["WWW-Authenticate"]
    bearer = {"Authorization": f"Bearer {look.token('registry-1.docker.io', 'library/registry')}"}
    assert (
        look.once("https://registry-1.docker.io/v2/library/registry/tags/list", **bearer).status_code == 200
    )
    other = look.once("https://registry-1.docker.io/v2/library/traefik/tags/list", **bearer)
    assert (other.status_code, "insufficient_scope" in other.headers["WWW-Authenticate"]) == (401, True)
    nobodys = {"Authorization": f"Bearer {look.token('registry-1.docker.io', 'library/nothing')}"}
    unknown = look.once("https://registry-1.docker.io/v2/library/nothing/tags/list", **nobodys)
    assert unknown.status_code == 401


def test_a_token_that_is_sent_on_to_the_host_of_blobs_is_seen(
    internet: World, look: Looker, pins: dict[str, Pin]
):
    repository = "library/registry"
    bearer = {"Authorization": f"Bearer {look.token('registry-1.docker.io', repository)}"}
    base = f"https://registry-1.docker.io/v2/{repository}"
    _, manifest = look.pull("registry-1.docker.io", repository, pins["registry"].version)
    config = f"{base}/blobs/{manifest['config']['digest']}"
    moved = look.once(config, **bearer)
    assert moved.status_code == 307
    assert moved.headers["Location"].startswith("https://production.cloudflare.docker.com/")
    assert look.curl(config, "-H", f"Authorization: {bearer['Authorization']}").returncode == 0
    assert not internet.leaked, "curl keeps it to itself"
    look.get(config, **bearer)
    (seen,) = internet.leaked
    assert seen.host == "production.cloudflare.docker.com"
    internet.requests.remove(seen)


def test_names_are_answered_and_those_of_a_test_too(internet: World):
    internet.names.addresses["member.example.org"] = "192.0.2.7"

    def address(name: str) -> str:
        answer = dns.query.udp(dns.message.make_query(name, "A"), ADDRESS, timeout=5)
        return answer.answer[0][0].to_text() if answer.answer else dns.rcode.to_text(answer.rcode())

    assert address("github.com") == address("production.cloudflare.docker.com") == ADDRESS
    assert address("member.example.org") == "192.0.2.7"
    assert address("pypi.org") == "NXDOMAIN"
    assert "github.com" in internet.asked


def test_who_asks_in_plain_gets_nothing_and_is_seen(internet: World, look: Looker):
    asked = look.curl("http://github.com/k3s-io/k3s", "-o", "/dev/null", "-w", "%{http_code}")
    assert asked.stdout == b"403"
    assert internet.requests[-1].scheme == "http"


def test_a_request_is_recorded_with_what_it_got(internet: World, look: Looker, pins: dict[str, Pin]):
    url = look.once(pins["helm"].source, Range="bytes=0-9")
    seen = internet.requests[-1]
    assert (seen.scheme, seen.host, seen.method) == ("https", "get.helm.sh", "GET")
    assert (seen.range, seen.status, seen.sent, seen.authorized) == ("bytes=0-9", 206, 10, False)
    assert seen.path in pins["helm"].source
    assert len(url.content) == 10
