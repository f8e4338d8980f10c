"""What builds have written: their steps, by the mounts these have, and what BuildKit fetches and unpacks for them."""

from __future__ import annotations

import os
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from binderbox.parts.builder.door.building import Left, Running
from binderbox.parts.builder.door.growth import STOPS_WITHIN_S, Growth, whose
from binderbox.parts.builder.door.vertices import Vertices

from .test_steps import KEY, OTHER, bundle, of

MB = 1 << 20


def growth_of(home: Path, left: Mapping[str, Left] = {}, **began: list[float]) -> Growth:
    """Of builds by key, with what goes on in each; `left` are builds that have ended."""
    builds = {KEY: Running(1.0), OTHER: Running(2.0)}
    for key, since in began.items():
        vertices = Vertices()
        vertices._since = {str(number): one for number, one in enumerate(since)}
        builds[key].vertices = vertices
    return Growth(home / "tasks", home / "containerd", lambda: builds, lambda: left)


def megabytes(growth: Growth) -> dict[str, int]:
    return {one.key: one.size_bytes >> 20 for one in growth.look()}


@pytest.fixture
def overlay(tmp_path: Path) -> Iterator[Path]:
    """A bundle whose root is an overlay, as a step's is; where it writes."""
    rootfs = bundle(tmp_path / "tasks", "one", of(KEY)) / "rootfs"
    for name in ("lower", "upper", "work"):
        (tmp_path / name).mkdir()
    (tmp_path / "lower/base").write_bytes(bytes(MB))
    options = f"lowerdir={tmp_path}/lower,upperdir={tmp_path}/upper,workdir={tmp_path}/work"
    words = ["mount", "-t", "overlay", "overlay", "-o", options, str(rootfs)]
    if subprocess.run(words, capture_output=True, check=False).returncode:
        pytest.skip("no overlay can be mounted here: it needs root and a file system that takes one")
    yield rootfs
    subprocess.run(["umount", str(rootfs)], check=True)


def test_what_a_step_writes_is_measured_without_what_it_stands_on(overlay: Path, tmp_path: Path) -> None:
    growth = growth_of(tmp_path)
    assert megabytes(growth) == {KEY: 0, OTHER: 0}
    (overlay / "sub").mkdir()
    (overlay / "sub/written").write_bytes(os.urandom(3 * MB))
    (found,) = (one for one in growth.look() if one.key == KEY)
    assert not found.unseen
    assert found.size_bytes >> 20 == 3
    assert found.inodes == 2


def test_what_a_step_writes_into_its_mounts_is_its_builds_too(overlay: Path, tmp_path: Path) -> None:
    """A cache mount is a snapshot, a `rw` bind an overlay of BuildKit's; what is only read is nobody's growth."""
    (tmp_path / "cache").mkdir()
    (tmp_path / "tasks/one/config.json").unlink()  # the fixture's own
    bundle(tmp_path / "tasks", "a", of(KEY), mounts={tmp_path / "cache": "rw", tmp_path / "lower": "ro"})
    bundle(tmp_path / "tasks", "b", of(OTHER), mounts={overlay: "rw"})
    (tmp_path / "cache/left").write_bytes(os.urandom(2 * MB))
    (overlay / "written").write_bytes(os.urandom(3 * MB))
    assert megabytes(growth_of(tmp_path)) == {KEY: 2, OTHER: 3}


def test_what_an_ended_step_had_written_stays_its_builds(overlay: Path, tmp_path: Path) -> None:
    growth = growth_of(tmp_path)
    (overlay / "written").write_bytes(os.urandom(3 * MB))
    growth.look()
    (tmp_path / "tasks/one/config.json").unlink()
    assert megabytes(growth)[KEY] == 3


class Filling:
    """A place of containerd's that grows until the block ends."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._ends = threading.Event()
        self._thread = threading.Thread(target=self._fill)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._ends.set()
        self._thread.join()

    def _fill(self) -> None:
        with self._file.open("ab", buffering=0) as out:
            while not self._ends.wait(0.02):
                out.write(os.urandom(MB))


def layer(home: Path, number: int) -> Path:
    made = home / f"containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/{number}/fs"
    made.mkdir(parents=True)
    return made


def test_what_buildkit_fetches_is_the_builds_of_which_something_began_just_before(tmp_path: Path) -> None:
    """And neither the newest build's nor the one's that has fetched for longest; at the first look already."""
    now = time.time()
    growth = growth_of(tmp_path, **{KEY: [now - 0.01], OTHER: [now - 60, now + 5]})
    with Filling(layer(tmp_path, 7) / "endless"):
        found = megabytes(growth)
    assert found[KEY] >= 2
    assert found[OTHER] == 0


def test_an_archive_that_is_unpacked_and_a_blob_that_arrives_count_too(tmp_path: Path) -> None:
    ingest = tmp_path / "containerd/io.containerd.content.v1.content/ingest/abc"
    ingest.mkdir(parents=True)
    (ingest / "startedat").touch()
    growth = growth_of(tmp_path, **{OTHER: [time.time()]})
    with Filling(ingest / "data"), Filling(layer(tmp_path, 7) / "unpacked"):
        assert megabytes(growth)[OTHER] >= 4


def test_what_goes_on_for_a_build_that_has_ended_is_not_anothers(tmp_path: Path) -> None:
    """The other one began something before the place was made, too; what came while the build ended does not count."""
    now = time.time()
    left = {"c" * 32: Left(now, (now - 0.01,))}
    growth = growth_of(tmp_path, left, **{KEY: [now - 5]})
    with Filling(layer(tmp_path, 7) / "unpacked"):
        first = {one.key: one.size_bytes for one in growth.look()}
        time.sleep(STOPS_WITHIN_S)
        found = {one.key: one for one in growth.look()}
    assert set(first.values()) == {0}
    assert found["c" * 32].size_bytes >= 2 * MB
    assert found["c" * 32].gone
    assert (found[KEY].size_bytes, found[KEY].gone) == (0, False)


def test_a_build_that_buildkit_says_nothing_of_cannot_be_seen(tmp_path: Path) -> None:
    bundle(tmp_path / "tasks", "one", of(KEY))
    growth = growth_of(tmp_path)
    assert {one.key: one.unseen for one in growth.look()} == {KEY: False, OTHER: True}


def test_a_layer_that_no_longer_grows_and_a_pods_are_nobodys(overlay: Path, tmp_path: Path) -> None:
    """One that an ended step has made lies there still; what a visitor's notebook writes is a pod's."""
    (tmp_path / "tasks/one/config.json").write_text('{"linux": {"cgroupsPath": "kubepods-x.slice:cri:one"}}')
    (layer(tmp_path, 7) / "done").write_bytes(os.urandom(5 * MB))
    pods = tmp_path / "containerd/io.containerd.snapshotter.v1.overlayfs/snapshots/8"
    pods.mkdir()
    growth = growth_of(tmp_path, **{KEY: [time.time() - 9]})
    (pods / "fs").symlink_to(tmp_path / "upper")
    with Filling(overlay / "notebook"):
        assert megabytes(growth) == {KEY: 0, OTHER: 0}


@pytest.mark.parametrize(
    ("made", "owner"), [(9.0, None), (10.0, KEY), (19.9, KEY), (20.0, OTHER), (29.0, OTHER), (31.0, KEY)]
)  # fmt: skip
def test_whose_a_place_is(made: float, owner: str | None) -> None:
    assert whose(made, {KEY: (10.0, 30.0), OTHER: (20.0,)}) == owner
