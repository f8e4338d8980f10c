"""Whoever changes a bundle is found out, also where the lock was changed with it."""

from __future__ import annotations

import io
import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.commands.bundle.scene import SOME, Scene
from tests.rig.internet.world import World

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
PAUSE = "docker.io/rancher/mirrored-pause:3.6"


@pytest.fixture(scope="module")
def made(world: World, tmp_path_factory: pytest.TempPathFactory) -> Scene:
    scene = Scene(world, tmp_path_factory.mktemp("made"), world.names.addresses["github.com"])
    scene.ask_for(SOME, pinned=True)
    scene.create()
    return scene


@pytest.fixture
def scene(made: Scene, tmp_path: Path) -> Scene:
    """A copy, to be changed."""
    shutil.copytree(made.directory, tmp_path / "bundle")
    return Scene(made.internet, tmp_path, made.address)


def repacked(scene: Scene, change: Callable[[str, bytes], list[tuple[str, bytes]]]) -> None:
    """registry.tar with other members, and a lock that goes with it."""
    archive = scene.directory / "registry.tar"
    out = io.BytesIO()
    with tarfile.open(archive) as old, tarfile.open(fileobj=out, mode="w") as new:
        for info in old:
            for name, data in change(info.name, old.extractfile(info).read()):  # type: ignore[union-attr]
                member = tarfile.TarInfo(name)
                member.size = len(data)
                new.addfile(member, io.BytesIO(data))
    archive.write_bytes(out.getvalue())
    scene.write_lock(scene.lock())


def faults(scene: Scene) -> list[str]:
    refused = scene.verify(code=4)["error"]
    assert "binderbox bundle create" in refused["remedy"]
    return list(refused["message"].splitlines())


def test_a_bundle_as_it_was_made_is_well(scene: Scene) -> None:
    result = scene.verify()
    assert not result["changed"]
    assert {one["trust"] for one in result["files"]} == {"lock"}


def test_all_files_that_are_changed_missing_or_strange_are_told_at_once(scene: Scene) -> None:
    helm, chart = (entry["file"] for entry in scene.lock() if entry["name"] in ("helm", "binderhub-chart"))
    with (scene.directory / helm).open("r+b") as file:
        file.seek(1000)
        file.write(b"x")
    (scene.directory / chart).unlink()
    (scene.directory / "more").mkdir()
    (scene.directory / "more/k3s").write_text("extra")
    found = faults(scene)
    assert found[0].startswith(f"{helm}: expected sha256 ")
    assert found[1:] == [f"{chart}: is not there", "more/k3s: is not in bundle.lock.json"]


def test_a_byte_in_a_layer_is_found_where_the_lock_was_changed_too(scene: Scene) -> None:
    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        return [(name, data[:-1] + bytes([data[-1] ^ 1]) if len(data) > 1_000_000 else data)]

    repacked(scene, change)
    (fault,) = faults(scene)
    assert fault.startswith("registry.tar: blobs/sha256/")
    assert "its sha256 is" in fault


@pytest.mark.parametrize("place", ["index.json", "manifest.json"])
def test_another_name_in_an_archive_is_found(scene: Scene, place: str) -> None:
    """k3s would import it under that as well."""

    def change(name: str, data: bytes) -> list[tuple[str, bytes]]:
        if name != "index.json":
            return [(name, data)]
        if place == "manifest.json":
            return [(name, data), (place, json.dumps([{"RepoTags": [PAUSE]}]).encode())]
        index = json.loads(data)
        more = json.loads(json.dumps(index["manifests"][0]))
        more["annotations"]["io.containerd.image.name"] = PAUSE
        index["manifests"].append(more)
        return [(name, json.dumps(index).encode())]

    repacked(scene, change)
    assert faults(scene) == [f"registry.tar: {place} names {PAUSE}, which is not to be in it"]


def test_a_layer_that_is_not_there_is_found(scene: Scene) -> None:
    repacked(scene, lambda name, data: [] if len(data) > 1_000_000 else [(name, data)])
    (fault,) = faults(scene)
    assert fault.startswith(f"registry.tar: {scene.lock()[1]['images'][0]}: sha256:")
    assert fault.endswith(" is missing")


def test_a_bundle_without_a_lock_is_none(scene: Scene) -> None:
    (scene.directory / "bundle.lock.json").unlink()
    refused = scene.verify(code=4)["error"]
    assert refused["message"].endswith("is no bundle")
    assert "binderbox bundle create" in refused["remedy"]
