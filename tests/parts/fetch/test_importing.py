"""An archive's images are waited for at a real containerd, unpacked, and imported where nobody else does."""

from __future__ import annotations

import json
import shutil
import tarfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.parts.fetch import importing, pulling
from binderbox.parts.fetch.fetching import FetchFailed
from tests.rig import images
from tests.rig.internet.machine import Machine

from .containerd import Containerd

pytestmark = [pytest.mark.host, pytest.mark.timeout(300)]
ADDRESS = "127.0.113.8"


@pytest.fixture
def containerd(machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Containerd]:
    with Containerd(machine, tmp_path) as running:
        monkeypatch.setattr(pulling, "CTR", running.ctr)
        monkeypatch.setattr(layout, "FETCH_RUN", str(tmp_path / "fetch"))
        yield running


def archive(directory: Path) -> str:
    return str(shutil.copy(images.registry(), directory / "registry.tar"))


def test_what_k3s_imports_is_waited_for(containerd: Containerd, tmp_path: Path) -> None:
    path = archive(tmp_path)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(importing.imported, path, [images.REGISTRY])
        with pytest.raises(TimeoutError):
            waiting.result(2)
        containerd.ask("images", "import", "--no-unpack", "--label", "by=k3s", path)
        waiting.result(60)
    assert "by=k3s" in containerd.ask("images", "list")
    assert not pulling.is_pinned(images.REGISTRY)  # by us: it was not imported twice
    assert pulling.is_whole(images.REGISTRY)


def test_what_k3s_overlooked_is_imported_and_pinned(
    containerd: Containerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "K3S_S", 0.2)
    importing.imported(archive(tmp_path), [images.REGISTRY])
    assert pulling.is_pinned(images.REGISTRY)
    assert pulling.is_whole(images.REGISTRY)


def test_what_a_power_cut_has_left_without_its_content_is_imported_again(
    containerd: Containerd, tmp_path: Path
) -> None:
    path = archive(tmp_path)
    containerd.ask("images", "import", "--no-unpack", path)
    with tarfile.open(path) as tar:
        (manifest,) = json.load(tar.extractfile("index.json"))["manifests"]  # type: ignore[arg-type]
        layer = json.load(tar.extractfile(f"blobs/{manifest['digest'].replace(':', '/')}"))["layers"][0]  # type: ignore[arg-type]
    containerd.ask("content", "rm", layer["digest"])
    assert not pulling.is_whole(images.REGISTRY)
    importing.imported(path, [images.REGISTRY])
    assert pulling.is_whole(images.REGISTRY)


def test_an_archive_that_is_broken_or_has_another_image_is_told(
    containerd: Containerd, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "K3S_S", 0.2)
    path = archive(tmp_path)
    with pytest.raises(FetchFailed, match=r"registry\.tar: has no image registry\.example/another:1"):
        importing.imported(path, [images.REGISTRY, "registry.example/another:1"])
    (tmp_path / "broken.tar").write_bytes(b"no archive")
    with pytest.raises(FetchFailed, match=r"ctr images import .*broken\.tar: ctr: "):
        importing.imported(str(tmp_path / "broken.tar"), ["registry.example/another:1"])
