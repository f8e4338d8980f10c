"""What is free on the file systems that something of ours lies on."""

from __future__ import annotations

import os
from collections.abc import Iterable

from binderbox.parts.disk.watermarks import FileSystem


def free_of(disks: Iterable[FileSystem]) -> dict[str, int]:
    """Bytes, by name."""
    return {disk.name: sized(disk.path)[0] for disk in disks}


def sized(path: str) -> tuple[int, int]:
    """(free, size) of the file system that a directory lies on, or will."""
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    found = os.statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def mount_of(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path
