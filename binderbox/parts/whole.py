"""A file that a program of the node writes and others read: whole, root's alone, and no reason to end anything.

Standard library only: it travels to the node.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from .events import say


def replace(path: Path, value: object) -> None:
    """Let it hold this as JSON; a full disk, or a full /run, is told in the journal and must not end what writes."""
    partial = path.with_suffix(".new")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            json.dump(value, file)
        partial.rename(path)
    except OSError as error:
        say("not-written", path=str(path), fault=str(error))


def sync(directory: Path) -> None:
    """Have the names in it on the disk when this returns."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
