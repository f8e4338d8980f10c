"""Images that are built and not yet pushed: in memory, and one small file each, so that a restart forgets none."""

from __future__ import annotations

import hashlib
import json
import os
import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

from ...whole import sync


@dataclass(frozen=True)
class Pending:
    """An image to push. `made` is another one when the same tag was built again meanwhile."""

    tag: str
    digest: str
    repository: str
    built_at: float
    made: str


class Spool:
    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._lock = threading.Lock()
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        for partial in directory.glob("*.new"):  # of a door that was killed while it wrote
            partial.unlink(missing_ok=True)
        self._held = {one.tag: one for one in _read(directory)}  # oldest first
        self._layers: dict[str, Mapping[str, int]] = {}  # made -> digest and bytes of each layer

    def add(self, tag: str, digest: str, repository: str) -> Pending:
        """Put an image in; it is on the disk when this returns."""
        pending = Pending(tag, digest, repository, time.time(), uuid.uuid4().hex)
        path = self._path(tag)
        partial = path.with_suffix(f".{pending.made}.new")
        with partial.open("w") as file:
            json.dump(asdict(pending), file)
            file.flush()
            os.fsync(file.fileno())
        with self._lock:
            partial.rename(path)
            self._forget(tag)
            self._held[tag] = pending
        sync(self._directory)
        return pending

    def all(self) -> list[Pending]:
        """What waits, oldest first."""
        with self._lock:
            return list(self._held.values())

    def holds(self, pending: Pending) -> bool:
        return self._held.get(pending.tag) == pending

    def remove(self, pending: Pending) -> None:
        """Take this one out; one of the same tag that was built meanwhile stays."""
        with self._lock:
            if not self.holds(pending):
                return
            self._forget(pending.tag)
            self._path(pending.tag).unlink(missing_ok=True)
        sync(self._directory)

    def measured(self, pending: Pending, layers: Mapping[str, int]) -> None:
        """Note the bytes of each of its layers by digest; images share many."""
        with self._lock:
            if self.holds(pending):
                self._layers[pending.made] = layers

    def layers(self, pending: Pending) -> Mapping[str, int]:
        """What was noted of it; nothing where nobody has measured it yet."""
        return self._layers.get(pending.made, {})

    def size(self, without: int = 0) -> int:
        """Bytes of the layers of all that waits, each once; of those alone that come after the `without` oldest."""
        with self._lock:
            kept = list(self._held.values())[without:]
            layers: dict[str, int] = {}
            for one in kept:
                layers.update(self._layers.get(one.made, {}))
        return sum(layers.values())

    def _forget(self, tag: str) -> None:
        if old := self._held.pop(tag, None):
            self._layers.pop(old.made, None)

    def _path(self, tag: str) -> Path:
        return self._directory / f"{hashlib.sha256(tag.encode()).hexdigest()}.json"


def _read(directory: Path) -> list[Pending]:
    """What an earlier door left, oldest first. A file that is not ours to read is left where it is."""
    found = []
    for path in directory.glob("*.json"):
        try:
            found.append(Pending(**json.loads(path.read_text())))
        except (OSError, ValueError, TypeError):
            continue
    return sorted(found, key=lambda pending: pending.built_at)
