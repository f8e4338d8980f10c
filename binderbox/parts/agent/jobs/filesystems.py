"""What is free on the file systems that something of ours lies on, of bytes and of inodes."""

from __future__ import annotations

import os
from collections.abc import Iterable

from binderbox.parts.disk.watermarks import GB, FileSystem, by_inodes


def free_of(disks: Iterable[FileSystem]) -> dict[str, int]:
    """Bytes, by name; fewer where inodes are shorter than bytes."""
    return {disk.name: min(sized(disk.path)[0], by_inodes(disk, inodes(disk.path))) for disk in disks}


def told(disk: FileSystem) -> str:
    """What is free there, of what is shorter."""
    free, share = sized(disk.path)[0], inodes(disk.path)
    if share is not None and by_inodes(disk, share) < free:
        return f"{share:.1%} of the inodes are free at {disk.path}"
    return f"{free / GB:.1f} GB are free at {disk.path}"


def sized(path: str) -> tuple[int, int]:
    """(free, size) of the file system that a directory lies on, or will."""
    found = _statvfs(path)
    return found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize


def inodes(path: str) -> float | None:
    """The share that is free; None where they are made as needed."""
    found = _statvfs(path)
    return found.f_favail / found.f_files if found.f_files else None


def mount_of(path: str) -> str:
    while not os.path.ismount(path):
        path = os.path.dirname(path)
    return path


def same_disk(one: str, other: str) -> bool:
    """Whether two directories lie on one file system, or will.

    Subvolumes and overlays have numbers of their own, of no device, and the sizes of what they lie on.
    """
    devices = [os.stat(_there(path)).st_dev for path in (one, other)]
    if devices[0] == devices[1] or all(map(os.major, devices)):
        return devices[0] == devices[1]
    (free, size), (its_free, its_size) = sized(one), sized(other)
    return size == its_size and abs(free - its_free) < 0.001 * size


def _statvfs(path: str) -> os.statvfs_result:
    return os.statvfs(_there(path))


def _there(path: str) -> str:
    while not os.path.isdir(path):
        path = os.path.dirname(path)
    return path
