"""Publishers of a broken world are asked, by this machine and by a node: each lie is refused under its own name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from binderbox.artifacts import statements
from binderbox.artifacts.records import Record
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts.asking import ask
from binderbox.errors import BundleError, NoAnswer
from binderbox.output.requests import Ask, Said
from binderbox.world.host.asking import NodeAsks
from binderbox.world.http.publishers import Publishers
from tests.rig.internet import bodies
from tests.rig.internet.chartindex import NEW
from tests.rig.internet.faults import Fault
from tests.rig.internet.registries import DOCKER, DOCKER_AUTH, QUAY
from tests.rig.internet.releases import API, ASSETS, GITHUB, HELM
from tests.rig.internet.world import ELSEWHERE, World

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
Named = tuple[str, Ask]
WRONG = {"html": bodies.HTML, "empty": bodies.EMPTY, "10 MB": bodies.TEN_MB}
# Where the statement about each is, in the end.
STATED_AT = {"k3s": (ASSETS, "/sha256sum-"), "helm": (HELM, "sha256sum$"), "buildkit": (ASSETS, "provenance")}
STATED_AT |= {"binderhub-chart": (NEW, r"index\.yaml$"), "traefik": (DOCKER, "/manifests/")}
ALL_OF_THEM = tuple(STATED_AT)
LISTS = ("k3s", "helm", "buildkit", "binderhub-chart")


def told(pins: Mapping[str, Pin], names: tuple[str, ...] | str, *askers: Named) -> dict[str, Record]:
    names = (names,) if isinstance(names, str) else names
    return ask(pins, [pins[name] for name in names], {}, askers)


def refused(pins: Mapping[str, Pin], names: tuple[str, ...] | str, *askers: Named) -> str:
    """The refusal, whose lines each name the artifact and where its publisher states it."""
    with pytest.raises(BundleError) as caught:
        told(pins, names, *askers)
    assert caught.value.exit_code == 4
    names = (names,) if isinstance(names, str) else names
    lines = caught.value.message.splitlines()
    for name, line in zip(names, lines, strict=True):
        assert line.startswith(f"{name} {pins[name].version}: {pins[name].checksum_url}: ")
    return caught.value.message


def unreachable(url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
    raise NoAnswer(f"{url}: no way out")


def test_every_publisher_states_what_is_true(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named
) -> None:
    found = ask(pins, pins.values(), {}, [asker])
    for name, pin in pinned.items():
        assert found[name].sha256 == pin.sha256, name
        assert found[name].asked_from == asker[0]
    of_charts = {
        "binderhub-chart": ("k8s-binderhub", "k8s-hub", "configurable-http-proxy"),
        "cryptnono-chart": ("cryptnono", "fetch-kernel-headers"),
    }
    assert {name: one.images_of for name, one in found.items() if one.images_of} == {
        name: pinned[chart].sha256 for chart, names in of_charts.items() for name in names
    }
    assert found["k3s"].stated_by == "github.com, api.github.com"
    assert found["traefik"].stated_by == DOCKER
    assert not internet.leaked
    assert {one.scheme for one in internet.requests} == {"https"}


@pytest.mark.parametrize("what", [*WRONG, "404"])
@pytest.mark.parametrize("name", ALL_OF_THEM)
def test_what_is_no_statement_is_refused(
    internet: World, pins: dict[str, Pin], asker: Named, name: str, what: str
) -> None:
    fault = Fault(status=404) if what == "404" else Fault(body=WRONG[what])
    internet.faults.add(*STATED_AT[name], fault, times=None)
    text = refused(pins, name, asker)
    assert "expected" in text
    found = {"html": "found HTML", "empty": "found an empty answer", "404": "found HTTP 404"}
    ten_mb = "found text that begins" if name == "binderhub-chart" else "found more"
    assert found.get(what, ten_mb) in text


@pytest.mark.parametrize("name", LISTS)
def test_a_list_without_the_file_is_refused(
    internet: World, pins: dict[str, Pin], asker: Named, name: str
) -> None:
    pin = pins[name]
    file = pin.version if pin.kind == "chart" else statements.file_of(pin.source)
    internet.faults.add(*STATED_AT[name], Fault(body=bodies.without(file)), times=None)
    text = refused(pins, name, asker)
    assert "expected a line for" in text
    assert file in text
    # helm's list is of one file
    assert ("found an empty answer" if name == "helm" else " without ") in text


@pytest.mark.parametrize("name", ["k3s", "buildkit"])
def test_a_list_that_githubs_own_record_contradicts_is_refused(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named, name: str
) -> None:
    sha256 = str(pinned[name].sha256)
    internet.faults.add(*STATED_AT[name], Fault(body=bodies.other_sum(sha256)), times=None)
    text = refused(pins, name, asker)
    assert f"states {sha256[::-1]} for {statements.file_of(pins[name].source)}" in text
    assert f"GitHub's own record of the release says {sha256}" in text


def test_a_digest_of_github_that_is_another_is_refused(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named
) -> None:
    internet.faults.add(API, "", Fault(body=bodies.other_sum(str(pinned["k3s"].sha256))), times=None)
    assert "GitHub's own record of the release says" in refused(pins, "k3s", asker)


@pytest.mark.parametrize("body", [bodies.HTML, bodies.EMPTY, bodies.without("k3s")])
def test_a_record_of_github_that_is_none_is_told_as_githubs(
    internet: World, pins: dict[str, Pin], asker: Named, body: Any
) -> None:
    internet.faults.add(API, "", Fault(body=body), times=None)
    assert "GitHub's own record of the release, https://api.github.com/repos/" in refused(pins, "k3s", asker)


@pytest.mark.parametrize("status", [403, 429])
def test_githubs_rate_limit_is_no_fault(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named, status: int
) -> None:
    fault = Fault(status=status, headers={"X-RateLimit-Remaining": "0", "Retry-After": "3600"})
    internet.faults.add(API, "", fault, times=None)
    found = told(pins, "k3s", asker)["k3s"]
    assert (found.sha256, found.stated_by) == (pinned["k3s"].sha256, "github.com")


def test_a_registry_whose_header_disagrees_is_refused(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named
) -> None:
    other = f"sha256:{'a' * 64}"
    internet.faults.add(
        QUAY,
        "/manifests/",
        Fault(body=lambda right: right, headers={"Docker-Content-Digest": other}),
        times=None,
    )
    text = refused(pins, "sample-base", asker)
    assert f"the manifest's sum is sha256:{pinned['sample-base'].sha256}, " in text
    assert f"Docker-Content-Digest says {other}" in text


@pytest.mark.parametrize(
    ("offer", "words"),
    [
        ("", "expected a token to be offered over https, found  ''"),
        ('Basic realm="x"', "found Basic 'x'"),
        (
            'Bearer realm="http://auth.docker.io/token",service="x"',
            "found Bearer 'http://auth.docker.io/token'",
        ),
        ('Bearer realm="https://[x/token"', "could not be asked"),
    ],
    ids=["none", "basic", "over http", "no address"],
)
def test_a_token_is_had_over_https_alone(
    internet: World, pins: dict[str, Pin], asker: Named, offer: str, words: str
) -> None:
    fault = Fault(status=401, headers={"WWW-Authenticate": offer} if offer else {})
    internet.faults.add(DOCKER, "/manifests/", fault, times=None)
    assert words in refused(pins, "traefik", asker)
    assert {one.scheme for one in internet.requests} == {"https"}


@pytest.mark.parametrize(
    "body",
    [
        bodies.HTML,
        bodies.EMPTY,
        b"[]",
        b'{"token": 1}',
        b'{"token": "a b"}',
        b'{"token": "x\\"\\noutput=\\"y"}',
    ],
)
def test_a_token_that_is_none_is_refused(
    internet: World, pins: dict[str, Pin], asker: Named, body: bytes
) -> None:
    """The last one would give orders to the node's curl, which runs as root."""
    internet.faults.add(DOCKER_AUTH, "", Fault(body=body), times=None)
    text = refused(pins, "traefik", asker)
    assert f"expected a token from https://{DOCKER_AUTH}/token, found HTTP 200 without one" in text
    assert not any(one.authorized for one in internet.requests)


def test_a_header_gives_no_orders_to_curl(node: NodeAsks, internet: World) -> None:
    with pytest.raises(NoAnswer, match="that nobody can send"):
        node(f"https://{HELM}/x", {"Authorization": 'x"\noutput = "/dev/null'}, 1)
    assert not internet.requests
    node(f"https://{HELM}/x", {"Authorization": 'a"b\\c'}, 1)
    assert internet.requests[-1].authorized


def test_a_redirect_to_http_is_not_followed(internet: World, pins: dict[str, Pin], asker: Named) -> None:
    internet.faults.add(HELM, "", Fault(redirect="http://{host}{target}"), times=None)
    text = refused(pins, "helm", asker)
    assert "http" in text.partition("could not be asked")[2]
    assert {one.scheme for one in internet.requests} == {"https"}


@pytest.mark.parametrize("there", [f"https://{ELSEWHERE}{{target}}", "http://{host}{target}"])
def test_no_credential_goes_elsewhere(
    internet: World, pins: dict[str, Pin], asker: Named, there: str
) -> None:
    """The first answer wants a token, the next leads away."""
    internet.faults.add(QUAY, "/manifests/", Fault(status=401, headers={"WWW-Authenticate": OFFER}))
    internet.faults.add(QUAY, "/manifests/", Fault(redirect=there), times=None)
    refused(pins, "sample-base", asker)
    assert [one.authorized for one in internet.requests if one.path.endswith("manifests/1")][:2] == [
        False,
        True,
    ]
    assert not internet.leaked
    assert not [one for one in internet.requests if one.scheme == "http"]


OFFER = (
    'Bearer realm="https://quay.io/v2/auth",service="quay.io",scope="repository:jupyter/base-notebook:pull"'
)


@pytest.mark.parametrize(
    "where",
    ["https://[broken/", "https://{host}:99999/", "", "gopher://x/", "//", "https://h:abc/", "https://a b/"],
)
def test_a_redirect_to_nowhere_is_refused(
    internet: World, pins: dict[str, Pin], asker: Named, where: str
) -> None:
    internet.faults.add(HELM, "", Fault(redirect=where), times=None)
    refused(pins, "helm", asker)


def test_a_loop_of_redirects_ends(internet: World, pins: dict[str, Pin], asker: Named) -> None:
    internet.faults.add(HELM, "", Fault(redirect="https://{host}{target}"), times=None)
    assert "redirects" in refused(pins, "helm", asker)
    assert len(internet.requests) == 6


@pytest.mark.parametrize("name", ["k3s", "binderhub-chart", "traefik"])
@pytest.mark.parametrize(
    "fault",
    [
        Fault(status=503),
        Fault(status=429, headers={"Retry-After": "1"}),
        Fault(cut=0.5),
    ],
    ids=["503", "429", "cut"],
)
def test_one_who_is_busy_or_broken_off_is_asked_again(
    internet: World, pins: dict[str, Pin], pinned: dict[str, Pin], asker: Named, name: str, fault: Fault
) -> None:
    host, path = STATED_AT[name]
    internet.faults.add(host, path, fault, times=2)
    assert told(pins, name, asker)[name].sha256 == pinned[name].sha256


def test_one_who_stays_busy_is_told(internet: World, pins: dict[str, Pin], asker: Named) -> None:
    internet.faults.add(HELM, "", Fault(status=503), times=None)
    assert "found HTTP 503" in refused(pins, "helm", asker)
    assert len(internet.requests) == 3


def test_where_the_client_has_no_way_out_the_node_asks(
    internet: World, pins: dict[str, Pin], node: NodeAsks
) -> None:
    found = ask(pins, pins.values(), {}, [("client", unreachable), ("node", node)])
    assert {one.asked_from for one in found.values()} == {"node"}


def test_where_the_client_has_one_the_node_is_not_asked(
    internet: World, pins: dict[str, Pin], client: Publishers
) -> None:
    found = ask(pins, pins.values(), {}, [("client", client), ("node", unreachable)])
    assert {one.asked_from for one in found.values()} == {"client"}


def test_an_authority_that_only_the_node_trusts_has_the_node_ask(
    internet: World, pins: dict[str, Pin], node: NodeAsks
) -> None:
    publishers = Publishers()
    found = told(pins, "helm", ("client", publishers), ("node", node))
    publishers.close()
    assert found["helm"].asked_from == "node"


def test_a_lie_is_not_asked_about_elsewhere(
    internet: World, pins: dict[str, Pin], client: Publishers, node: NodeAsks
) -> None:
    """What the client is told counts: a node behind somebody else's wire could be told what suits them."""
    internet.faults.add(*STATED_AT["helm"], Fault(body=bodies.HTML))
    refused(pins, "helm", ("client", client), ("node", node))
    assert len(internet.requests) == 1


def test_where_nobody_has_one_both_reasons_are_told(
    internet: World, pins: dict[str, Pin], node: NodeAsks
) -> None:
    internet.faults.add(HELM, "", Fault(cut=0), times=None)
    text = refused(pins, "helm", ("client", unreachable), ("node", node))
    assert "its publisher could not be asked" in text
    assert "no way out; " in text
    assert "asked by the host: curl: (" in text


def test_everything_that_is_wrong_is_told_at_once(
    internet: World, pins: dict[str, Pin], asker: Named
) -> None:
    for name in ALL_OF_THEM:
        internet.faults.add(*STATED_AT[name], Fault(body=bodies.HTML), times=None)
    text = refused(pins, ALL_OF_THEM, asker)
    assert text.count("found HTML that begins with '<!DOCTYPE html>") == len(ALL_OF_THEM)


@pytest.mark.parametrize(
    ("fault", "words"),
    [
        (Fault(status=404), "expected a chart, found HTTP 404"),
        (Fault(body=bodies.HTML), "expected sha256 "),
        (Fault(body=b"x" * 17_000_000), "found more"),
    ],
    ids=["404", "html", "17 MB"],
)
def test_images_are_read_from_the_chart_that_was_stated_alone(
    internet: World, pins: dict[str, Pin], asker: Named, fault: Fault, words: str
) -> None:
    internet.faults.add(NEW, r"\.tgz$", fault, times=None)
    with pytest.raises(BundleError) as caught:
        ask(pins, [pins["binderhub-chart"], pins["binderhub-images"]], {}, [asker])
    (line,) = caught.value.message.splitlines()
    assert line.startswith(f"binderhub-images {pins['binderhub-images'].version}: ")
    assert pins["binderhub-chart"].source in line
    assert words in line


def test_every_image_of_a_chart_that_is_wrong_is_told(
    internet: World, pins: dict[str, Pin], asker: Named
) -> None:
    internet.faults.add(QUAY, "/manifests/", Fault(status=404), times=None)
    with pytest.raises(BundleError) as caught:
        ask(pins, [pins["binderhub-chart"], pins["binderhub-images"]], {}, [asker])
    lines = caught.value.message.splitlines()
    assert [line.partition(" ")[0] for line in lines] == [
        "k8s-binderhub",
        "k8s-hub",
        "configurable-http-proxy",
    ]
    assert all(GITHUB not in line and "expected a manifest, found HTTP 404" in line for line in lines)
