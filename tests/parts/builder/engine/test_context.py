from __future__ import annotations

import io
import os
import socket
import tarfile
import tracemalloc
from pathlib import Path

from binderbox.parts.builder.engine import context, wire


def _sent(path: Path) -> tarfile.TarFile:
    pieces: list[bytes] = []
    context.send_directory(str(path), pieces.append)
    return tarfile.open(fileobj=io.BytesIO(b"".join(pieces)))


def test_everything_travels_as_it_is(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".git/HEAD").write_text("ref")
    (tmp_path / ".dockerignore").write_text("*")
    (tmp_path / "empty").mkdir()
    (tmp_path / "run").write_text("x")
    (tmp_path / "run").chmod(0o755)
    (tmp_path / "link").symlink_to("/etc/passwd")
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / ("n" * 200)).write_text("long name")
    (tmp_path / "\N{SNOWMAN}").write_text("not ASCII")
    with _sent(tmp_path) as tar:
        assert sorted(tar.getnames()) == sorted(
            [".dockerignore", ".git", ".git/HEAD", "broken", "empty", "link", "n" * 200, "run", "\N{SNOWMAN}"]
        )
        assert tar.getmember("link").linkname == "/etc/passwd"
        assert tar.getmember("run").mode & 0o777 == 0o755


def test_what_is_no_file_stays_behind(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "s"))
        (tmp_path / "file").touch()
        with _sent(tmp_path) as tar:
            assert tar.getnames() == ["file"]


def test_a_large_file_is_never_in_memory_as_a_whole(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(200 << 20)
    sizes: list[int] = []
    tracemalloc.start()
    context.send_directory(str(tmp_path), lambda piece: sizes.append(len(piece)))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert sum(sizes) > 200 << 20
    assert max(sizes) <= wire.CEILINGS[wire.DATA]
    assert peak < 8 << 20


def test_an_archive_that_is_there_already_is_sent_from_its_start() -> None:
    archive = io.BytesIO(os.urandom(600_000))
    archive.seek(0, io.SEEK_END)
    pieces: list[bytes] = []
    context.send_archive(archive, pieces.append)
    assert b"".join(pieces) == archive.getvalue()
