"""Which artifact is taken from where, which is refused, and that a refusal names it with both checksums."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.artifacts.resolve import Artifact, parse_lock, resolve
from binderbox.artifacts.versions import Pin
from binderbox.errors import BundleError

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
LOCK_DIGEST = "1" * 64
K3S = Pin("k3s", "file", "v1", "https://example.org/k3s", sha256=A)
HELM = Pin(
    "helm", "tar", "v3", "https://example.org/helm.tgz", checksum_url="https://example.org/helm.sha256"
)
TRAEFIK = Pin("traefik", "image", "v3", "docker.io/library/traefik:v3", sha256=C)
R2D = Pin("repo2docker", "image", "x", "quay.io/jupyterhub/repo2docker:x", sha256=C, by_tag=True)


def entry(pin: Pin, **more: Any) -> dict[str, Any]:
    found = {
        "name": pin.name,
        "kind": pin.kind,
        "file": pin.name,
        "sha256": pin.sha256 or B,
        "source": pin.source,
        "version": pin.version,
    }
    if pin.kind == "image":
        found["images"] = [pin.source]
    return found | more


def lock(*entries: dict[str, Any]) -> str:
    return json.dumps({"schema": 1, "artifacts": list(entries)})


def from_bundle(pins: list[Pin], *entries: dict[str, Any], allow: str | None = None) -> dict[str, Artifact]:
    return resolve({pin.name: pin for pin in pins}, parse_lock(lock(*entries)), LOCK_DIGEST, allow)


def refusal(pins: list[Pin], *entries: dict[str, Any], allow: str | None = None) -> BundleError:
    with pytest.raises(BundleError) as caught:
        from_bundle(pins, *entries, allow=allow)
    assert caught.value.exit_code == 4
    return caught.value


def test_a_file_with_a_pinned_checksum_needs_no_trust_in_the_bundle() -> None:
    found = from_bundle([K3S], entry(K3S))
    assert found == {"k3s": Artifact("k3s", "file", A, K3S.source, "v1", file="k3s", trust="pinned")}


def test_a_pinned_checksum_wins_over_the_lock_even_if_the_lock_is_trusted() -> None:
    """Artifact and lock changed together."""
    error = refusal([K3S], entry(K3S, sha256=B), allow=LOCK_DIGEST)
    assert error.message == f"k3s: expected sha256 {A}, the bundle's lock says {B}"
    assert "--bundle-sha256" not in error.remedy


@pytest.mark.parametrize(
    ("pin", "changed"),
    [
        (HELM, {}),
        (K3S, {"source": "rig: Kubernetes in place of k3s", "sha256": B}),
        (replace(TRAEFIK, sha256=None, checksum_url="https://example.org"), {}),
    ],
)
def test_what_versions_toml_cannot_vouch_for_needs_the_locks_digest(
    pin: Pin, changed: dict[str, Any]
) -> None:
    error = refusal([pin], entry(pin, **changed))
    assert error.message.startswith(f"{pin.name}: ")
    assert error.remedy.endswith(f"--bundle-sha256 {LOCK_DIGEST}")
    for spelled in (LOCK_DIGEST, f"sha256:{LOCK_DIGEST}"):
        found = from_bundle([pin], entry(pin, **changed), allow=spelled)[pin.name]
        assert found.sha256 == entry(pin, **changed)["sha256"]
        assert found.file == pin.name


def test_the_digest_of_another_bundle_is_refused_even_if_none_was_needed() -> None:
    error = refusal([K3S], entry(K3S), allow=B)
    assert error.message == f"bundle.lock.json: expected sha256 {B}, found {LOCK_DIGEST}"


def test_everything_that_is_missing_or_wrong_is_named_at_once() -> None:
    error = refusal([K3S, HELM, TRAEFIK], entry(K3S, kind="tar"), entry(HELM))
    assert error.message.splitlines() == [
        "k3s: expected kind file, the bundle says tar",
        "helm: versions.toml has no checksum for the bundle's file helm",
        "traefik: is not in the bundle",
    ]


def test_what_the_bundle_holds_besides_is_never_used() -> None:
    assert list(from_bundle([K3S], entry(K3S), entry(HELM))) == ["k3s"]


def test_an_image_keeps_the_names_inside_its_archive() -> None:
    found = from_bundle([R2D], entry(R2D, images=["rig.example/repo2docker:1"]), allow=LOCK_DIGEST)
    assert found["repo2docker"].images == ("rig.example/repo2docker:1",)


def test_a_pinned_image_is_known_by_the_manifest_in_its_archive() -> None:
    """So a bundle of pinned images needs no trust in its lock, whose checksum is of the archive alone."""
    found = from_bundle([TRAEFIK], entry(TRAEFIK, sha256=B))["traefik"]
    assert (found.sha256, found.manifest, found.trust) == (B, C, "pinned")
    error = refusal([TRAEFIK], entry(TRAEFIK, images=[TRAEFIK.source, "docker.io/rancher/pause:1"]))
    assert error.message.startswith("traefik: expected one image in traefik, the bundle says ")


def test_a_pinned_image_has_a_name_that_its_pin_gives() -> None:
    """Else it would be imported in the place of another."""
    exact = f"docker.io/library/traefik@sha256:{C}"
    assert from_bundle([TRAEFIK], entry(TRAEFIK, images=[exact]))["traefik"].images == (exact,)
    error = refusal([TRAEFIK], entry(TRAEFIK, images=["docker.io/rancher/pause:1"]))
    assert "the bundle says docker.io/rancher/pause:1" in error.message
    assert error.remedy.endswith(f"--bundle-sha256 {LOCK_DIGEST}")


def test_images_with_tables_of_their_own_take_the_place_of_all_of_the_charts() -> None:
    chart = replace(HELM, name="chart", kind="chart", sha256=A)
    hub = replace(TRAEFIK, name="k8s-hub", of="chart")
    all_of_it = replace(TRAEFIK, name="chart-images", sha256=None, images_of="chart")
    found = from_bundle([chart, all_of_it, hub], entry(chart), entry(hub))
    assert (list(found), found["k8s-hub"].of) == (["chart", "k8s-hub"], "chart")


def test_what_a_pin_says_it_can_needs_no_trust_in_the_lock() -> None:
    site = replace(K3S, features=("cgroup-v1",))
    assert from_bundle([site], entry(site, features=["etcd"]))["k3s"].features == ("cgroup-v1",)
    assert from_bundle([site], entry(site, features=["etcd"]), allow=LOCK_DIGEST)["k3s"].features == ("etcd",)


@pytest.mark.parametrize(
    "file",
    [
        "../k3s",
        "/etc/passwd",
        "a/../../k3s",
        "a//b",
        "./k3s",
        "a/",
        "..",
        "",
        "a\\b",
        "a\nb",
        "a;b",
        ".hidden",
        "-rf",
    ],
)
def test_a_file_stays_inside_the_bundle(file: str) -> None:
    with pytest.raises(BundleError, match="k3s: file: "):
        parse_lock(lock(entry(K3S, file=file)))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ("[]", "expected"),
        ('{"schema": 2, "artifacts": []}', "expected"),
        ('{"schema": 1}', "expected"),
        (lock(entry(K3S), entry(K3S)), "k3s: stands twice"),
        (lock(entry(K3S, sha256="A" * 64)), "k3s: sha256: expected 64 small hex digits"),
        (lock(entry(K3S, sha256=None)), "k3s: sha256: expected text, found None"),
        (lock(entry(K3S, extra=1)), "k3s: unknown key 'extra'"),
        (lock(entry(TRAEFIK, images=[])), "traefik: images: an image archive must say"),
        (lock(entry(TRAEFIK, images="x")), "traefik: images: expected a list"),
        (lock({"kind": "file"}), "artifacts[0]: name: expected text"),
        ('{"schema": 1, "artifacts": [3]}', "artifacts[0]: expected an object"),
    ],
)
def test_a_broken_lock_is_refused(text: str, words: str) -> None:
    with pytest.raises(BundleError) as caught:
        parse_lock(text)
    assert words in caught.value.message


@given(
    st.recursive(st.none() | st.integers() | st.text(), lambda x: st.lists(x) | st.dictionaries(st.text(), x))
)
def test_no_json_breaks_the_lock(data: Any) -> None:
    with pytest.raises(BundleError):
        parse_lock(json.dumps({"schema": 1, "artifacts": [data]}))
