"""What the commands about bundles tell: their phases while they run, and the bundle at the end."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from binderbox.artifacts.resolve import parse_lock
from binderbox.output.progress import Progress
from binderbox.output.results import BundledFile, BundleResult

Trust = Literal["pinned", "stated", "lock"]


@dataclass
class Counts:
    changed: int = 0
    unchanged: int = 0


@contextmanager
def phase(progress: Progress, title: str) -> Iterator[Counts]:
    """One phase in the progress; what runs in it counts what it changed."""
    started, counts = time.monotonic(), Counts()
    progress.phase_started(title)
    try:
        yield counts
    except BaseException:
        progress.phase_failed(title, time.monotonic() - started)
        raise
    progress.phase_done(title, time.monotonic() - started, counts.changed, counts.unchanged)


def result_of(directory: Path, lock: str, trust: Mapping[str, Trust], *, changed: bool) -> BundleResult:
    """A whole bundle, by its lock; `trust` says by name why each file is believed, where the lock is not all there is."""
    files = tuple(
        BundledFile(
            name=entry.name,
            version=entry.version,
            kind=entry.kind,
            file=entry.file,
            size_bytes=(directory / entry.file).stat().st_size,
            sha256=entry.sha256,
            trust=trust.get(entry.name, "lock"),
            images=entry.images,
        )
        for entry in parse_lock(lock).values()
    )
    return BundleResult(
        directory=str(directory),
        changed=changed,
        lock_sha256=hashlib.sha256(lock.encode()).hexdigest(),
        needs_lock=any(file.trust != "pinned" for file in files),
        size_bytes=sum(file.size_bytes for file in files),
        files=files,
    )
