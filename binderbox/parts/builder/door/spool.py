"""Images that are built and not yet pushed, one small file each, so that a restart forgets none."""

from __future__ import annotations

import hashlib
import json
import os
import time
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path


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
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)

    def add(self, tag: str, digest: str, repository: str) -> Pending:
        """Put an image in; it is on the disk when this returns."""
        pending = Pending(tag, digest, repository, time.time(), uuid.uuid4().hex)
        path = self._path(tag)
        partial = path.with_suffix(f".{pending.made}.new")
        with partial.open("w") as file:
            json.dump(asdict(pending), file)
            file.flush()
            os.fsync(file.fileno())
        partial.rename(path)
        self._sync()
        return pending

    def all(self) -> list[Pending]:
        """Return what waits, oldest first. A file that is not ours to read is left where it is."""
        found = []
        for path in self._directory.glob("*.json"):
            try:
                found.append(Pending(**json.loads(path.read_text())))
            except (OSError, ValueError, TypeError):
                continue
        return sorted(found, key=lambda pending: pending.built_at)

    def holds(self, pending: Pending) -> bool:
        return pending in self.all()

    def remove(self, pending: Pending) -> None:
        self._path(pending.tag).unlink(missing_ok=True)
        self._sync()

    def _path(self, tag: str) -> Path:
        return self._directory / f"{hashlib.sha256(tag.encode()).hexdigest()}.json"

    def _sync(self) -> None:
        descriptor = os.open(self._directory, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
