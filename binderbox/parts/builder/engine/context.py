"""A build context as one tar archive, made while it is sent: nothing is copied to the pod's disk or memory."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from typing import IO, cast

from . import wire


def send_archive(archive: IO[bytes], send: Callable[[bytes], None]) -> None:
    """Send a tar archive that repo2docker already made, as it is."""
    if archive.seekable():
        archive.seek(0)
    while piece := archive.read(wire.CHUNK):
        send(piece)


def send_directory(path: str, send: Callable[[bytes], None]) -> None:
    """Send a directory as a tar archive.

    Symlinks travel as symlinks, wherever they point. Nothing is left out, `.dockerignore` included:
    BuildKit applies that file to the context itself.
    """
    with tarfile.open(
        mode="w|", fileobj=cast(IO[bytes], Writer(send)), format=tarfile.PAX_FORMAT, bufsize=wire.CHUNK
    ) as tar:
        for name in sorted(os.listdir(path)):
            tar.add(os.path.join(path, name), arcname=name, filter=_ordinary)
            tar.members.clear()  # type: ignore[attr-defined]  # it remembers every member


def _ordinary(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None


class Writer:
    """A file to write to, of which each piece is sent."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def write(self, piece: bytes) -> int:
        self._send(bytes(piece))
        return len(piece)
