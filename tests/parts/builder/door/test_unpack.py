from __future__ import annotations

import contextlib
import io
import os
import stat
import tarfile
import threading
import tracemalloc
from collections.abc import Callable
from pathlib import Path

import pytest

from binderbox.parts.builder.door.refusal import Refused
from binderbox.parts.builder.door.unpack import unpack

STAMP = 123_456_789


def _archive(fill: Callable[[tarfile.TarFile], None], kind: int = tarfile.PAX_FORMAT) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=kind) as tar:
        fill(tar)
    out.seek(0)
    return out


def _add(
    tar: tarfile.TarFile, name: str, kind: bytes = tarfile.REGTYPE, content: bytes = b"", **fields: object
) -> None:
    member = tarfile.TarInfo(name)
    member.type, member.size = kind, len(content)
    for key, value in fields.items():
        setattr(member, key, value)
    tar.addfile(member, io.BytesIO(content))


def _unpack(archive: io.BytesIO, root: Path, max_bytes: int = 1 << 20, max_files: int = 100) -> int:
    return unpack(archive, str(root), max_bytes, max_files, STAMP)


@pytest.mark.parametrize("kind", [tarfile.PAX_FORMAT, tarfile.GNU_FORMAT])
def test_an_ordinary_context_arrives_as_it_was(tmp_path: Path, kind: int) -> None:
    long_name = "d/" + "n" * 200 + ".txt"

    def fill(tar: tarfile.TarFile) -> None:
        _add(tar, "./Dockerfile", content=b"FROM x\n", mode=0o640, mtime=1_700_000_000.25)
        _add(tar, "src/run.sh", content=b"#!/bin/sh\n", mode=0o755, uid=1000, gid=1000)
        _add(tar, "src/", tarfile.DIRTYPE, mode=0o755, mtime=1_600_000_000)
        _add(tar, "src/link", tarfile.SYMTYPE, linkname="run.sh")
        _add(tar, "src/outside", tarfile.SYMTYPE, linkname="/etc/passwd")
        _add(tar, "src/hard", tarfile.LNKTYPE, linkname="src/run.sh")
        _add(tar, "sealed/", tarfile.DIRTYPE, mode=0o555)
        _add(tar, "sealed/inside", content=b"x")
        _add(tar, long_name, content=b"long")
        _add(tar, "twice", content=b"first")
        _add(tar, "twice", content=b"second")

    assert _unpack(_archive(fill, kind), tmp_path) == 7 + 10 + 1 + 4 + 5 + 6
    dockerfile = (tmp_path / "Dockerfile").stat()
    assert (stat.S_IMODE(dockerfile.st_mode), dockerfile.st_mtime_ns) == (
        0o640,
        1_700_000_000 * 10**9 + STAMP,
    )
    script = (tmp_path / "src/run.sh").stat()
    assert (stat.S_IMODE(script.st_mode), script.st_uid, script.st_nlink) == (0o755, os.getuid(), 2)
    assert os.readlink(tmp_path / "src/link") == "run.sh"
    assert os.readlink(tmp_path / "src/outside") == "/etc/passwd"
    assert stat.S_IMODE((tmp_path / "sealed").stat().st_mode) == 0o555
    assert (tmp_path / "src").stat().st_mtime_ns == 1_600_000_000 * 10**9 + STAMP
    assert (tmp_path / long_name).read_text() == "long"
    assert (tmp_path / "twice").read_text() == "second"


@pytest.mark.parametrize(
    ("case", "fill"),
    [
        ("absolute path", lambda t: _add(t, "/etc/cron.d/x", content=b"x")),
        ("path upwards", lambda t: _add(t, "a/../../x", content=b"x")),
        ("device", lambda t: _add(t, "sda", tarfile.BLKTYPE, devmajor=8)),
        ("character device", lambda t: _add(t, "null", tarfile.CHRTYPE, devmajor=1, devminor=3)),
        ("fifo", lambda t: _add(t, "pipe", tarfile.FIFOTYPE)),
        ("hard link to the host", lambda t: _add(t, "shadow", tarfile.LNKTYPE, linkname="/etc/shadow")),
        ("hard link upwards", lambda t: _add(t, "shadow", tarfile.LNKTYPE, linkname="../../../etc/shadow")),
        ("unknown kind", lambda t: _add(t, "x", b"V")),
        ("too deep", lambda t: _add(t, "d/" * 300 + "x")),
    ],
)
def test_a_member_that_leads_out_is_refused(
    tmp_path: Path, case: str, fill: Callable[[tarfile.TarFile], None]
) -> None:
    root = tmp_path / "root"
    root.mkdir()
    with pytest.raises(Refused):
        _unpack(_archive(fill), root)
    assert os.listdir(tmp_path) == ["root"]


@pytest.mark.parametrize(
    "way", ["through a symlinked directory", "onto a symlink", "by a hard link to a symlink"]
)
def test_a_symlink_of_the_archive_is_never_followed(tmp_path: Path, way: str) -> None:
    outside, root = tmp_path / "outside", tmp_path / "root"
    outside.mkdir()
    (outside / "file").write_text("untouched")
    root.mkdir()

    def fill(tar: tarfile.TarFile) -> None:
        if way == "through a symlinked directory":
            _add(tar, "d", tarfile.SYMTYPE, linkname=str(outside))
            _add(tar, "d/file", content=b"evil")
        elif way == "onto a symlink":
            _add(tar, "f", tarfile.SYMTYPE, linkname=str(outside / "file"))
            _add(tar, "f", content=b"evil")
        else:
            _add(tar, "f", tarfile.SYMTYPE, linkname=str(outside / "file"))
            _add(tar, "g", tarfile.LNKTYPE, linkname="f")
            _add(tar, "g", content=b"evil")

    if way == "through a symlinked directory":
        with pytest.raises(Refused):
            _unpack(_archive(fill), root)
    else:
        _unpack(_archive(fill), root)
    assert (outside / "file").read_text() == "untouched"
    assert os.listdir(outside) == ["file"]


class _Endless:
    """A stream that counts how much of it was read."""

    def __init__(self, start: bytes) -> None:
        self._start = io.BytesIO(start)
        self.given = 0

    def read(self, size: int, /) -> bytes:
        self.given += size
        return self._start.read(size).ljust(size, b"\0")


def test_ten_gigabytes_are_refused_at_their_header(tmp_path: Path) -> None:
    member = tarfile.TarInfo("big")
    member.size = 10 << 30
    stream = _Endless(member.tobuf())
    with pytest.raises(Refused) as refused:
        unpack(stream, str(tmp_path), 2 << 30, 100, 0)
    assert refused.value.reason == "context-size"
    assert stream.given <= 2 << 20


def test_many_small_files_add_up(tmp_path: Path) -> None:
    def fill(tar: tarfile.TarFile) -> None:
        for number in range(20):
            _add(tar, f"f{number}", content=b"x" * 1000)

    with pytest.raises(Refused) as refused:
        _unpack(_archive(fill), tmp_path, max_bytes=19_999)
    assert refused.value.reason == "context-size"
    with pytest.raises(Refused) as refused:
        _unpack(_archive(fill), tmp_path, max_files=19)
    assert refused.value.reason == "context-files"


def test_a_header_that_would_fill_the_memory_is_refused(tmp_path: Path) -> None:
    for kind in (tarfile.GNUTYPE_LONGNAME, tarfile.XHDTYPE, tarfile.XGLTYPE):
        member = tarfile.TarInfo("x")
        member.type, member.size = kind, 4 << 30
        stream = _Endless(member.tobuf())
        with pytest.raises(Refused, match="has a header of"):
            unpack(stream, str(tmp_path), 1 << 20, 100, 0)
        assert stream.given <= 2 << 20


@pytest.mark.parametrize(
    "garbage",
    [b"", b"\x01" * 4096, b"GET / HTTP/1.1\r\n\r\n".ljust(1024), tarfile.TarInfo("x").tobuf()[:300]],
)
def test_garbage_is_refused(tmp_path: Path, garbage: bytes) -> None:
    with pytest.raises(Refused, match="cannot be unpacked"):
        _unpack(io.BytesIO(garbage), tmp_path)


def test_an_archive_cut_inside_a_file_is_refused(tmp_path: Path) -> None:
    whole = _archive(lambda tar: _add(tar, "f", content=b"x" * 5000)).getvalue()
    with pytest.raises(Refused, match="cannot be unpacked"):
        _unpack(io.BytesIO(whole[:3000]), tmp_path)


def held_mb(fill: Callable[[tarfile.TarFile], None], root: Path) -> float:
    """The most that Python holds at once while this is unpacked, of a stream that nobody keeps."""
    read, write = os.pipe()
    writer = threading.Thread(target=_write, args=(write, fill))
    writer.start()
    tracemalloc.start()
    try:
        with os.fdopen(read, "rb") as stream, contextlib.suppress(Refused):
            unpack(stream, str(root), 1 << 40, 300_000, STAMP)
        return tracemalloc.get_traced_memory()[1] / 1e6
    finally:
        tracemalloc.stop()
        writer.join()


def _write(descriptor: int, fill: Callable[[tarfile.TarFile], None]) -> None:
    gone = contextlib.suppress(BrokenPipeError)
    with gone, os.fdopen(descriptor, "wb") as out, tarfile.open(fileobj=out, mode="w|") as tar:
        fill(tar)


CHAIN = "/".join(f"d{number}{'x' * 240}" for number in range(14))


def directories(mode: int) -> Callable[[tarfile.TarFile], None]:
    def fill(tar: tarfile.TarFile) -> None:
        for number in range(3000):
            _add(tar, f"{CHAIN}/{number}", tarfile.DIRTYPE, mode=mode)
            tar.members = []  # type: ignore[attr-defined]  # the writer remembers them, too

    return fill


def global_headers(tar: tarfile.TarFile) -> None:
    for number in range(500):
        keys = {f"comment.{number}.{key}": "x" * 3000 for key in range(10)}
        tar.fileobj.write(tarfile.TarInfo.create_pax_global_header(keys))  # type: ignore[union-attr]
        _add(tar, str(number))


def names_upon_names(tar: tarfile.TarFile) -> None:
    for _ in range(400):
        long = tarfile.TarInfo("././@LongLink")
        long.type, long.size = tarfile.GNUTYPE_LONGNAME, 1 << 20
        tar.fileobj.write(long.tobuf(tarfile.GNU_FORMAT) + b"x" * (1 << 20))  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "fill",
    [
        directories(0o755),
        directories(0o500),
        global_headers,
        names_upon_names,
    ],
    ids=["directories", "sealed directories", "global headers", "names upon names"],
)
def test_nothing_in_an_archive_is_remembered_for_its_own_sake(
    fill: Callable[[tarfile.TarFile], None], tmp_path: Path
) -> None:
    assert held_mb(fill, tmp_path) < 12
