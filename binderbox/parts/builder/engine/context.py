"""A build context as one tar archive, made while it is sent: nothing is copied to the pod's disk or memory."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Callable
from typing import IO, Any, cast

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
    with packing(send) as tar:
        for name in sorted(os.listdir(path)):
            tar.add(os.path.join(path, name), arcname=name, filter=_ordinary)


def packing(send: Callable[[bytes], None]) -> tarfile.TarFile:
    """An archive that is sent as it is written."""
    writer = cast(IO[bytes], Writer(send))
    return Packing.open(mode="w|", fileobj=writer, format=tarfile.PAX_FORMAT, bufsize=wire.CHUNK)


class Packing(tarfile.TarFile):
    """One that remembers no member, and of files' numbers those alone that another name may have: of 300,000 files it would
    be 0.4 GB."""

    def gettarinfo(self, name: Any = None, arcname: Any = None, fileobj: Any = None) -> tarfile.TarInfo:
        found = super().gettarinfo(name, arcname, fileobj)
        self.members.clear()  # type: ignore[attr-defined]
        if name is not None and (at := os.lstat(name)).st_nlink == 1:
            self.inodes.pop((at.st_ino, at.st_dev), None)  # type: ignore[attr-defined]
        return found


def _ordinary(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
    return member if member.isreg() or member.isdir() or member.issym() or member.islnk() else None


class Writer:
    """A file to write to, of which each piece is sent."""

    def __init__(self, send: Callable[[bytes], None]) -> None:
        self._send = send

    def write(self, piece: bytes) -> int:
        self._send(bytes(piece))
        return len(piece)
