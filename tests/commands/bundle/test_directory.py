"""Whose directory it is, however early a run was ended."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from binderbox.artifacts.resolve import LOCK_NAME
from binderbox.artifacts.versions import Pin
from binderbox.commands.bundle import directory as places
from binderbox.errors import UsageError

K3S = Pin("k3s", "file", "v1", "https://example.org/k3s", "a" * 64)
PINS = {"k3s": K3S}


def begin(directory: Path, pins: dict[str, Pin] = PINS, arch: str = "amd64", *, ours: bool = False) -> Path:
    return places.begin(directory, arch, pins, ["k3s"], ours=ours)


def test_a_run_that_ended_before_its_marker_was_written_is_begun_anew(tmp_path: Path) -> None:
    (tmp_path / places.FILLING).mkdir()
    (tmp_path / places.FILLING / "for.json.new").write_text('{"half')
    assert (begin(tmp_path) / places.MARKER).exists()


def test_the_same_goes_on_and_another_is_refused(tmp_path: Path) -> None:
    (begin(tmp_path) / "files").mkdir()
    (tmp_path / "k3s").write_text("has arrived")
    assert (begin(tmp_path) / "files").exists()
    for pin in (replace(K3S, version="v2"), replace(K3S, sha256="b" * 64), replace(K3S, sha256=None)):
        with pytest.raises(UsageError, match="is another bundle"):
            begin(tmp_path, {"k3s": pin})
    with pytest.raises(UsageError) as refused:
        begin(tmp_path, arch="arm64")
    assert refused.value.cause == "architecture: it is being filled for amd64, asked for is arm64"


def test_a_marker_that_cannot_be_read_is_another_bundles(tmp_path: Path) -> None:
    (begin(tmp_path) / places.MARKER).write_text("[]")
    with pytest.raises(UsageError, match="is another bundle"):
        begin(tmp_path)


def test_a_file_that_only_looks_like_one_of_ours_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "k3s").write_text("mine")
    with pytest.raises(UsageError, match="holds what is no part of the bundle: k3s"):
        begin(tmp_path)
    assert begin(tmp_path, ours=True)


def test_the_lock_is_there_last(tmp_path: Path) -> None:
    (tmp_path / LOCK_NAME).write_text("of a bundle of which something is lost")
    begin(tmp_path, ours=True)
    assert not (tmp_path / LOCK_NAME).exists()
    places.finish(tmp_path, "the lock")
    assert [path.name for path in tmp_path.iterdir()] == [LOCK_NAME]
    assert (tmp_path / LOCK_NAME).read_text() == "the lock"


def test_one_at_a_time(tmp_path: Path) -> None:
    with (
        places.alone(tmp_path / "new/bundle"),
        pytest.raises(UsageError, match="another run"),
        places.alone(tmp_path / "new/bundle"),
    ):
        pass
    with places.alone(tmp_path / "new/bundle"):
        pass
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be made"), places.alone(tmp_path / "file"):
        pass
