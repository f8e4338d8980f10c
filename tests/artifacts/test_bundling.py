"""Which files a bundle is to have, and that its lock is what an install reads."""

from __future__ import annotations

from dataclasses import replace

import pytest

from binderbox.artifacts import bundling, sources
from binderbox.artifacts.bundling import BundledImage
from binderbox.artifacts.records import Record
from binderbox.artifacts.resolve import parse_lock, resolve
from binderbox.artifacts.versions import Pin

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
K3S = Pin("k3s", "file", "v1", "https://example.org/v1%2Bk3s1/k3s", A, features=("cgroup-v1",))
TRAEFIK = Pin("traefik", "image", "v3", "docker.io/library/traefik:v3", C)
CHART = Pin("binderhub-chart", "chart", "1", "https://example.org/binderhub-1.tgz", A)
IMAGES = Pin("binderhub-images", "image", "1", "those of the chart", images_of="binderhub-chart")
HUB = Pin("k8s-hub", "image", "2", "quay.io/jupyterhub/k8s-hub:2", B, of="binderhub-chart")


def pins(*found: Pin) -> dict[str, Pin]:
    return {pin.name: pin for pin in found}


def test_an_image_lies_there_under_its_tag() -> None:
    """k3s reads a tag from each name that it imports."""
    asked = pins(K3S, TRAEFIK)
    artifacts = sources.resolve(asked, {}, {})
    assert artifacts["traefik"].images == (f"docker.io/library/traefik@sha256:{C}",)
    k3s, traefik = bundling.parts(asked, artifacts)
    assert (k3s.file, k3s.sha256, k3s.images, k3s.trust) == ("k3s", A, (), "pinned")
    assert (traefik.file, traefik.images) == ("traefik.tar", (BundledImage(TRAEFIK.source, C),))


def test_the_images_of_a_chart_lie_in_one_archive_unless_each_has_a_table() -> None:
    stated = {
        name: Record(name, "2", f"quay.io/j/{name}:2", B, "quay.io", "client", "now", images_of=A)
        for name in ("k8s-hub", "chp")
    }
    asked = pins(CHART, IMAGES)
    _, together = bundling.parts(asked, sources.resolve(asked, {}, stated))
    assert (together.file, together.trust) == ("binderhub-images.tar", "stated")
    assert together.images == (BundledImage("quay.io/j/chp:2", B), BundledImage("quay.io/j/k8s-hub:2", B))
    each = pins(CHART, IMAGES, HUB)
    assert [part.pin.name for part in bundling.parts(each, sources.resolve(each, {}, {}))] == [
        "binderhub-chart",
        "k8s-hub",
    ]


@pytest.mark.parametrize(
    ("source", "file"),
    [
        ("https://example.org/a%2Bb.tar.gz", "a+b.tar.gz"),
        ("https://example.org/.hidden", "tool"),
        ("https://example.org/a%2Fb", "tool"),
        ("https://example.org/", "tool"),
        ("https://example.net/k3s", "tool"),
    ],
)
def test_a_file_is_called_as_its_publisher_calls_it_where_that_is_plain(source: str, file: str) -> None:
    assert bundling.file_names(pins(K3S, Pin("tool", "file", "1", source, A)))["tool"] == file


def test_an_install_reads_the_lock_and_needs_no_more_where_all_is_pinned() -> None:
    asked = pins(K3S, TRAEFIK, CHART, HUB)
    parts = bundling.parts(asked, sources.resolve(asked, {}, {}))
    sums = {part.file: part.sha256 or B for part in parts}
    text = bundling.render_lock(parts, sums)
    assert text == bundling.render_lock(parts, dict(reversed(sums.items())))
    found = resolve(asked, parse_lock(text), "1" * 64, None)
    assert {one.trust for one in found.values()} == {"pinned"}
    assert (found["traefik"].manifest, found["traefik"].images) == (C, (TRAEFIK.source,))
    assert found["k3s"].features == ("cgroup-v1",)
    unpinned = pins(replace(K3S, sha256=None, checksum_url="https://example.org/sums"))
    assert resolve(unpinned, parse_lock(text), "1" * 64, "1" * 64)["k3s"].trust == "bundle"
