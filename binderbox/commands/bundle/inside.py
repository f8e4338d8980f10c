"""Whether what lies in a bundle is what it shall be: each file against the lock, and each image archive's inside."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

from binderbox.artifacts import archives, manifests
from binderbox.artifacts.resolve import LOCK_NAME, LockEntry
from binderbox.artifacts.versions import Pin

NO_PINS: Mapping[str, Pin] = {}


def faults(directory: Path, entries: Mapping[str, LockEntry], pins: Mapping[str, Pin] = NO_PINS) -> list[str]:
    """Everything that is wrong, one line each; with pins their images have the pinned digests, too."""
    known = {directory / entry.file for entry in entries.values()} | {directory / LOCK_NAME}
    found = [
        fault for entry in entries.values() for fault in _of_entry(directory, entry, pins.get(entry.name))
    ]
    extra = sorted(path for path in directory.rglob("*") if not path.is_dir() and path not in known)
    return found + [f"{path.relative_to(directory)}: is not in {LOCK_NAME}" for path in extra]


def is_archive_of(file: Path, images: Mapping[str, str | None]) -> list[str]:
    """The faults of an image archive; one that is not there has one."""
    try:
        with file.open("rb") as opened:
            return archives.faults(opened, images)
    except OSError as error:
        return [f"cannot be read: {error.strerror}"]


def sum_of(file: Path) -> str:
    """The sha256 of a file in hex; empty where there is none."""
    try:
        with file.open("rb") as opened:
            return hashlib.file_digest(opened, "sha256").hexdigest()
    except OSError:
        return ""


def _of_entry(directory: Path, entry: LockEntry, pin: Pin | None) -> list[str]:
    found = sum_of(directory / entry.file)
    if not found:
        return [f"{entry.file}: is not there"]
    wrong = [] if found == entry.sha256 else [f"{entry.file}: expected sha256 {entry.sha256}, found {found}"]
    if entry.kind != "image":
        return wrong
    pinned = pin.sha256 if pin is not None else None
    images = {name: pinned or _digest_in(name) for name in entry.images}
    return wrong + [f"{entry.file}: {fault}" for fault in is_archive_of(directory / entry.file, images)]


def _digest_in(name: str) -> str | None:
    named = manifests.DIGEST.fullmatch(name.partition("@")[2])
    return named[1] if named else None
