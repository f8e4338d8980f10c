"""The directory that becomes a bundle: whose it is, what it is being filled for, and what lies in it besides.

Until the lock is written, which is last, `.filling` in it holds a marker and what was begun. The same command goes on from
there; another one, and files that nobody knows, are refused, because what is there might be overwritten.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from binderbox.artifacts.bundling import wanted
from binderbox.artifacts.resolve import LOCK_NAME, LockEntry
from binderbox.artifacts.versions import Pin
from binderbox.errors import UsageError

FILLING, MARKER = ".filling", "for.json"
ANOTHER = "name another directory, or remove this one"


@contextmanager
def alone(directory: Path) -> Iterator[None]:
    """While nobody else fills it; it is made if need be. Raises UsageError."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    except OSError as error:
        raise UsageError(
            f"{directory} cannot be made or read: {error.strerror}", remedy="name another directory"
        ) from error
    try:
        _lock(handle, directory)
        yield
    finally:
        os.close(handle)


def _lock(handle: int, directory: Path) -> None:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise UsageError(
            f"{directory} is being filled by another run", remedy="wait for that, then run this again"
        ) from error


def differences(entries: Mapping[str, LockEntry], pins: Mapping[str, Pin]) -> list[str]:
    """In what a whole bundle is not the one that these pins ask for."""
    known = {pin.name: pin for pin in wanted(pins)}
    found = [f"{name}: is not asked for" for name in entries if name not in known]
    for name, pin in known.items():
        entry = entries.get(name)
        if entry is None:
            found.append(f"{name}: is not in it")
        elif (entry.kind, entry.version, entry.source) != (pin.kind, pin.version, pin.source):
            found.append(
                f"{name}: it has {entry.version} of {entry.source}, not {pin.version} of {pin.source}"
            )
        elif pin.sha256 and pin.kind != "image" and entry.sha256 != pin.sha256:
            found.append(f"{name}: its sha256 is {entry.sha256}, pinned is {pin.sha256}")
    return found


def refuse_another(directory: Path, found: list[str]) -> None:
    if found:
        raise UsageError(f"{directory} is another bundle", cause="\n".join(found), remedy=ANOTHER)


def begin(directory: Path, arch: str, pins: Mapping[str, Pin], files: Iterable[str], *, ours: bool) -> Path:
    """Where what is being fetched lies, once the directory is marked for these pins; UsageError where it is another's.

    `ours`: it was a bundle for these pins before.
    """
    filling = directory / FILLING
    marker = filling / MARKER
    if marker.exists():
        refuse_another(directory, _changed(_read(marker), _purpose(arch, pins)))
        ours = True
    known = {FILLING, LOCK_NAME, *files} if ours else {FILLING}
    foreign = sorted(path.name for path in directory.iterdir() if path.name not in known)
    if foreign:
        shown = ", ".join(foreign[:5]) + (" ..." if len(foreign) > 5 else "")
        raise UsageError(
            f"{directory} holds what is no part of the bundle: {shown}",
            cause="a bundle is made in a directory of its own, so that nothing in it is overwritten",
            remedy="name a directory that is empty or is not there yet",
        )
    filling.mkdir(exist_ok=True)
    part = filling / f"{MARKER}.new"
    part.write_text(json.dumps(_purpose(arch, pins), indent=1, sort_keys=True))
    part.replace(marker)
    (directory / LOCK_NAME).unlink(missing_ok=True)
    return filling


def finish(directory: Path, lock: str) -> None:
    """Write the lock, which makes a bundle of it, and remove what was needed to get there."""
    part = directory / FILLING / LOCK_NAME
    with part.open("w", encoding="utf-8") as file:
        file.write(lock)
        file.flush()
        os.fsync(file.fileno())
    part.replace(directory / LOCK_NAME)
    tidy(directory)


def tidy(directory: Path) -> None:
    """Remove what a run left that was ended after the lock was there."""
    shutil.rmtree(directory / FILLING, ignore_errors=True)


Purpose = dict[str, str]


def _purpose(arch: str, pins: Mapping[str, Pin]) -> Purpose:
    told = {
        pin.name: f"{pin.version} of {pin.source}, sha256 {pin.sha256 or 'unpinned'}" for pin in wanted(pins)
    }
    return {**told, "architecture": arch}


def _read(marker: Path) -> Purpose:
    try:
        found = json.loads(marker.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _changed(before: Purpose, now: Purpose) -> list[str]:
    return [
        f"{key}: it is being filled for {before.get(key, 'nothing')}, asked for is {now.get(key, 'nothing')}"
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]
