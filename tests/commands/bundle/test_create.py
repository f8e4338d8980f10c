"""A bundle from the Internet: believed by the same rules as an install from there, and the same bytes each time."""

from __future__ import annotations

import hashlib
import json
import tarfile

import pytest

from binderbox.artifacts.resolve import LOCK_NAME, parse_lock, resolve
from binderbox.errors import BundleError
from tests.commands.bundle.scene import SOME, Scene, digests
from tests.rig import bundle, images
from tests.rig.internet.faults import Fault
from tests.rig.internet.goods import chart_images, goods
from tests.rig.internet.stores import manifest_sha256

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
DOCKER = "registry-1.docker.io"
CHART_TABLES = ("k8s-binderhub", "k8s-hub", "configurable-http-proxy")


def lock_text(scene: Scene) -> str:
    return (scene.directory / LOCK_NAME).read_text()


def test_what_is_not_pinned_is_as_its_publisher_states_it(scene: Scene) -> None:
    """Every artifact; the rig's own archives are packed otherwise, and hold the same images."""
    scene.ask_for([good.pin.name for good in goods()], pinned=False)
    made = scene.create("--no-require-pins")
    assert (made["changed"], made["needs_lock"]) == (True, True)
    assert {one["trust"] for one in made["files"]} == {"stated"}
    for good in goods():
        file = next(one for one in made["files"] if one["name"] == good.pin.name)
        path = scene.directory / file["file"]
        if good.pin.kind != "image":
            assert file["sha256"] == bundle.digest(good.path) == hashlib.sha256(path.read_bytes()).hexdigest()
            continue
        names = sorted(chart_images(good.pin.images_of)) if good.pin.images_of else [good.pin.source]
        assert digests(path) == dict.fromkeys(names, manifest_sha256(good.path))
        assert sorted(file["images"]) == names
    assert sorted(path.name for path in scene.directory.iterdir()) == sorted(
        [LOCK_NAME, *(one["file"] for one in made["files"])]
    )
    assert made["lock_sha256"] == hashlib.sha256(lock_text(scene).encode()).hexdigest()
    with pytest.raises(BundleError, match="no checksum for the bundle's file"):
        resolve(scene.pins, parse_lock(lock_text(scene)), made["lock_sha256"], None)
    found = resolve(scene.pins, parse_lock(lock_text(scene)), made["lock_sha256"], made["lock_sha256"])
    assert found["registry"].images == (scene.pins["registry"].source,)
    assert "cgroup-v1" in found["k3s"].features
    assert scene.verify()["lock_sha256"] == made["lock_sha256"]


def test_pinned_it_needs_no_word_of_a_publisher_and_none_of_the_operator(scene: Scene) -> None:
    scene.ask_for([*SOME, *CHART_TABLES], pinned=True)
    made = scene.create()
    assert (made["changed"], made["needs_lock"]) == (True, False)
    fetched = [one.path for one in scene.internet.requests if one.sent]
    assert not [path for path in fetched if "sha256sum" in path or path.endswith("index.yaml")]
    assert len([path for path in fetched if path.endswith(".tgz")]) == 1
    found = resolve(scene.pins, parse_lock(lock_text(scene)), made["lock_sha256"], None)
    assert {one.trust for one in found.values()} == {"pinned"}
    for name in ("registry", *CHART_TABLES):
        archive = scene.directory / str(found[name].file)
        assert digests(archive) == {found[name].images[0]: scene.pins[name].sha256}
    quays = [one.path for one in scene.internet.requests if one.host == "quay.io" and one.sent > 1_000_000]
    blobs = [path.rpartition("/")[2] for path in quays]
    assert blobs
    assert len(blobs) == len(set(blobs)), "the chart's images share all of theirs"


def test_again_nothing_is_asked_or_changed_and_elsewhere_it_is_the_same(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=False)
    made = scene.create("--no-require-pins")
    before = len(scene.internet.requests)
    again = scene.create("--no-require-pins")
    assert scene.internet.requests[before:] == []
    assert again == made | {"changed": False}
    scene.directory.rename(scene.home / "first")
    assert scene.create("--no-require-pins")["lock_sha256"] == made["lock_sha256"]


def test_an_authority_of_the_sites_own_allows_pinned_artifacts_alone(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=False)
    refused = scene.create(code=4)["error"]
    assert "helm" in refused["message"]
    assert "--no-require-pins" in refused["remedy"]
    assert scene.internet.requests == []
    assert not scene.directory.exists()


def test_of_several_architectures_one_is_taken_under_the_digest_of_all(scene: Scene) -> None:
    amd64 = manifest_sha256(images.registry())
    listed = [("amd64", amd64, _size(scene, amd64)), ("arm64", "0" * 64, 1)]
    index = json.dumps(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.index.v1+json",
            "manifests": [
                {
                    "digest": f"sha256:{sha256}",
                    "size": size,
                    "platform": {"os": "linux", "architecture": architecture},
                }
                for architecture, sha256, size in listed
            ],
        }
    ).encode()
    sha256 = hashlib.sha256(index).hexdigest()
    scene.internet.faults.add(DOCKER, f"/manifests/sha256:{sha256}$", Fault(body=index), times=None)
    scene.ask_for(["registry"], pinned=True, registry={"sha256": sha256})
    scene.create()
    assert digests(scene.directory / "registry.tar") == {scene.pins["registry"].source: sha256}
    with tarfile.open(scene.directory / "registry.tar") as tar:
        there = {name.rpartition("/")[2] for name in tar.getnames()}
    assert {sha256, amd64} < there
    assert "0" * 64 not in there
    scene.verify()
    refused = scene.create("--arch", "riscv64", code=2)
    assert "riscv64" in refused["error"]["message"]


def _size(scene: Scene, sha256: str) -> int:
    with tarfile.open(images.registry()) as tar:
        return tar.getmember(f"blobs/sha256/{sha256}").size


def test_who_names_no_certificate_is_told_before_anything_is_asked(scene: Scene) -> None:
    scene.ask_for(SOME, pinned=True)
    (scene.home / "not.pem").write_text("no certificate")
    refused = scene.create("--extra-ca", str(scene.home / "not.pem"), code=2)["error"]
    assert "not.pem: expected a certificate authority" in refused["message"]
    assert scene.internet.requests == []
