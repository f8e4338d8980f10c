"""Which sum of an artifact from the Internet is believed, and what is refused."""

from __future__ import annotations

from dataclasses import replace

import pytest

from binderbox.artifacts import records, sources
from binderbox.artifacts.records import Record
from binderbox.artifacts.resolve import Artifact, exact_name
from binderbox.artifacts.versions import Pin
from binderbox.errors import BundleError

A, B, C, D = ("a" * 64, "b" * 64, "c" * 64, "d" * 64)
K3S = Pin("k3s", "file", "v1", "https://example.org/k3s", sha256=A)
HELM = Pin(
    "helm", "tar", "v3", "https://example.org/helm.tgz", checksum_url="https://example.org/helm.sha256"
)
TRAEFIK = Pin("traefik", "image", "v3", "docker.io/library/traefik:v3", sha256=C)
R2D = Pin("repo2docker", "image", "x", "quay.io/jupyterhub/repo2docker:x", sha256=C, by_tag=True)
CHART = Pin("binderhub-chart", "chart", "1", "https://example.org/binderhub-1.tgz", sha256=D)
IMAGES = Pin("binderhub-images", "image", "1", "the images of the chart", images_of="binderhub-chart")
PINS = {one.name: one for one in (K3S, HELM, TRAEFIK, R2D, CHART, IMAGES)}


def said(pin: Pin, sha256: str = B, **more: str) -> Record:
    words = {"stated_by": "example.org", "asked_from": "client", "asked_at": "2026-01-01T00:00:00Z", **more}
    return Record(pin.name, pin.version, pin.source, sha256, **words)


HUB = Record("k8s-hub", "2", "quay.io/jupyterhub/k8s-hub:2", B, "quay.io", "client", "2026", images_of=D)


def test_a_pin_wins_then_the_record_then_the_statement() -> None:
    recorded, stated = {"k3s": said(K3S), "helm": said(HELM)}, {"helm": said(HELM, C)}
    found = sources.resolve(PINS, recorded, stated)
    assert (found["k3s"].sha256, found["k3s"].trust) == (A, "pinned")
    assert (found["helm"].sha256, found["helm"].trust) == (B, "recorded")
    assert sources.resolve(PINS, {}, stated)["helm"].trust == "stated"
    assert sources.resolve(PINS, {}, {})["helm"].trust == ""


@pytest.mark.parametrize("change", [{"version": "v4"}, {"source": "https://elsewhere.example/helm.tgz"}])
def test_a_record_is_of_one_version_from_one_place(change: dict[str, str]) -> None:
    found = sources.resolve(PINS, {"helm": replace(said(HELM), **change)}, {})
    assert (found["helm"].sha256, found["helm"].trust) == ("", "")


def test_an_image_is_run_by_its_digest_or_by_the_tag_that_is_compared() -> None:
    found = sources.resolve(PINS, {}, {})
    exact = f"docker.io/library/traefik@sha256:{C}"  # no tag: the kubelet would look for this very name
    assert (found["traefik"].images, found["traefik"].pull) == ((exact,), exact)
    assert found["repo2docker"].images == ("quay.io/jupyterhub/repo2docker:x",)
    assert found["repo2docker"].pull == f"quay.io/jupyterhub/repo2docker@sha256:{C}"


def test_a_registry_with_a_port_keeps_it() -> None:
    assert exact_name("registry.example:5000/a/b:1", A) == f"registry.example:5000/a/b@sha256:{A}"


def test_a_charts_images_are_known_by_the_chart_that_runs_them() -> None:
    found = sources.resolve(PINS, {"k8s-hub": HUB}, {})
    assert (found["k8s-hub"].trust, found["k8s-hub"].of) == ("recorded", "binderhub-chart")
    assert found["k8s-hub"].images == (HUB.source,)  # the chart names it by its tag
    assert "k8s-hub" not in sources.resolve(PINS, {"k8s-hub": replace(HUB, images_of=A)}, {})
    assert [pin.name for pin in sources.unknown(PINS, found)] == ["helm"]
    assert [pin.name for pin in sources.unknown(PINS, sources.resolve(PINS, {}, {}))] == [
        "helm",
        "binderhub-images",
    ]


def test_pinned_images_of_a_chart_take_the_place_of_those_that_are_read_from_it() -> None:
    pins = {**PINS, "k8s-hub": Pin("k8s-hub", "image", "2", HUB.source, sha256=C, of="binderhub-chart")}
    found = sources.resolve(pins, {"k8s-hub": HUB}, {})
    assert (found["k8s-hub"].sha256, found["k8s-hub"].trust, found["k8s-hub"].of) == (
        C,
        "pinned",
        "binderhub-chart",
    )
    assert [pin.name for pin in sources.unknown(pins, found)] == ["helm"]


def refusal(found: dict[str, Artifact], *, pinned_only: bool = False) -> BundleError:
    with pytest.raises(BundleError) as caught:
        sources.refuse_unknown(PINS, found, pinned_only=pinned_only)
    assert caught.value.exit_code == 4
    return caught.value


def test_what_nobody_vouches_for_is_refused_all_at_once() -> None:
    error = refusal(sources.resolve(PINS, {}, {}))
    assert error.message.splitlines() == [
        "helm v3: nobody vouches for it; its publisher does at https://example.org/helm.sha256",
        "binderhub-images: its images are not known",
    ]


def test_where_only_pins_count_a_statement_does_not() -> None:
    found = sources.resolve(PINS, {"helm": said(HELM), "k8s-hub": HUB}, {})
    sources.refuse_unknown(PINS, found, pinned_only=False)
    error = refusal(found, pinned_only=True)
    assert error.message.splitlines() == [
        "helm v3: recorded, and only what is pinned may be used",
        "k8s-hub 2: recorded, and only what is pinned may be used",
    ]
    assert "require_pins: false" in error.remedy


def test_a_disputed_record_is_refused_until_somebody_decides() -> None:
    recorded = {"helm": said(HELM, disputed=C)}
    with pytest.raises(BundleError) as caught:
        sources.refuse_disputed(PINS, recorded)
    assert caught.value.message == f"helm v3: recorded sha256 {B}, example.org now says {C}"
    assert f"--accept helm={B} keeps" in caught.value.remedy
    for chosen in (B, C):
        decided = sources.accept(PINS, recorded, {"helm": chosen}, "2026-02-02T00:00:00Z")
        sources.refuse_disputed(PINS, decided)
        assert (decided["helm"].sha256, decided["helm"].stated_by) == (chosen, "--accept")
    sources.refuse_disputed({"helm": replace(HELM, sha256=B)}, recorded)  # a pin has decided it


def test_the_way_out_is_of_what_is_refused() -> None:
    """Not of a disputed record that no pin asks for any more."""
    old = replace(said(HELM, disputed=C), name="gone")
    with pytest.raises(BundleError) as caught:
        sources.refuse_disputed(PINS, {"gone": old, "helm": said(HELM, disputed=C)})
    assert caught.value.remedy.count("--accept helm=") == 2


@pytest.mark.parametrize(("name", "words"), [("k3s", "pins it"), ("nothing", "no such artifact")])
def test_no_decision_is_open_on_it(name: str, words: str) -> None:
    with pytest.raises(BundleError, match=words):
        sources.accept(PINS, {}, {name: B}, "2026")


def test_the_lock_is_read_as_it_was_written() -> None:
    written = [said(HELM, disputed=C), HUB]
    assert list(records.parse(records.render(written)).values()) == written
    assert records.parse(None) == {}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"schema": 2, "artifacts": []}',
        '{"schema": 1, "artifacts": [1]}',
        records.render([replace(HUB, sha256="x")]),
        records.render([replace(HUB, stated_by="")]),
    ],
)
def test_a_lock_that_was_changed_is_refused(text: str) -> None:
    with pytest.raises(BundleError, match=r"artifacts\.lock\.json"):
        records.parse(text)
