"""What is packed while it is sent is what repo2docker would have packed into memory."""

from __future__ import annotations

import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from repo2docker.buildpacks import PythonBuildPack, base

from binderbox.parts.builder.engine import context, packing


@pytest.fixture
def unpatched(monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    monkeypatch.setattr(base, "io", io)
    monkeypatch.setattr(base, "tarfile", tarfile)
    return base


class Taken:
    """An engine that keeps the archive which a build pack hands it."""

    archive: Any = None

    def build(self, *, fileobj: Any, **named: Any) -> list[str]:
        self.archive = fileobj
        return []


def packed(repository: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.chdir(repository)
    taken, pack = Taken(), PythonBuildPack("base:1")
    pack.platform = "linux/amd64"
    list(pack.build(taken, "name:tag", 0, {"NB_USER": "jovyan", "NB_UID": "1000"}, [], {}))
    return taken.archive


def members(data: bytes) -> list[tuple[Any, ...]]:
    with tarfile.open(fileobj=io.BytesIO(data)) as tar:
        files = [tar.extractfile(one) if one.isreg() else None for one in tar.getmembers()]
        return [
            (
                one.name,
                one.type,
                one.size,
                one.mode,
                one.mtime,
                one.uid,
                one.gid,
                one.uname,
                one.linkname,
                data,
            )
            for one, file in zip(tar.getmembers(), files, strict=True)
        ]


def test_the_same_archive(tmp_path: Path, unpatched: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "requirements.txt").write_text("numpy\n")
    (tmp_path / "deep/empty").mkdir(parents=True)
    (tmp_path / "deep/data").write_bytes(os.urandom(100_000))
    for name in ("same", "twin"):
        os.link(tmp_path / "deep/data", tmp_path / f"deep/{name}")
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / ("x" * 200)).write_text("long")
    (tmp_path / "\udcff-no-utf8").write_text("odd")
    (tmp_path / ".dockerignore").write_text("deep/same\n")
    in_memory = packed(tmp_path, monkeypatch).getvalue()
    packing.note(base)
    noted = packed(tmp_path, monkeypatch)
    assert isinstance(noted, packing.Packed)
    assert noted.noted
    assert noted.getvalue() == b""
    pieces: list[bytes] = []
    noted.noted.send(pieces.append)
    assert members(b"".join(pieces)) == members(in_memory)


def test_a_repo2docker_that_packs_in_another_way_is_let_be() -> None:
    other = ModuleType("other")
    packing.note(other)
    assert not hasattr(other, "tarfile")
    other.io, other.tarfile = io, Taken  # type: ignore[attr-defined]
    packing.note(other)
    assert other.io is io  # type: ignore[attr-defined]


@pytest.mark.parametrize(
    "opened",
    [
        lambda: packing._open(fileobj=io.BytesIO(), mode="w"),
        lambda: packing._open(fileobj=packing.Packed(), mode="w:gz"),
    ],
)
def test_other_archives_are_written_as_ever(opened: Callable[[], Any]) -> None:
    assert isinstance(opened(), tarfile.TarFile)


@pytest.mark.parametrize("way", ["directory", "noted"])
def test_an_archive_remembers_no_file(tmp_path: Path, way: str) -> None:
    """repo2docker packs a whole repository by one call, and 300,000 files are allowed."""
    (tmp_path / "deep").mkdir()
    for number in range(500):
        (tmp_path / "deep" / f"{number}").touch()
    os.link(tmp_path / "deep/0", tmp_path / "deep/twin")
    kept: list[int] = []

    class Watched(context.Packing):
        def addfile(self, *words: Any, **named: Any) -> None:
            super().addfile(*words, **named)
            kept.append(len(self.members) + len(self.inodes))  # type: ignore[attr-defined]

    pieces: list[bytes] = []
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(context, "Packing", Watched)
        if way == "directory":
            context.send_directory(str(tmp_path), pieces.append)
        else:
            noted = packing.Noted()
            noted.add(str(tmp_path / "deep"), "src/")
            noted.send(pieces.append)
    assert len(kept) > 500
    assert max(kept) <= 3
    with tarfile.open(fileobj=io.BytesIO(b"".join(pieces))) as tar:
        assert len([one for one in tar.getmembers() if one.islnk()]) == 1
