"""The audit log, as the node's own programs write it, in the form of those lines that people's commands add
(world/host/lock.py). Standard library only: it travels with them."""

from __future__ import annotations

import json
import os
import time
from contextlib import suppress
from pathlib import Path

MOST_BYTES = 16 << 20


def append(path: Path, who: str, event: str, command: str, **more: str) -> None:
    """One line; what was written before goes aside once it is long, in the place of what went there before. Raises OSError."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"at": at, "who": who, "event": event, "command": command, **more})
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        if path.stat().st_size > MOST_BYTES:
            os.replace(path, f"{path}.1")
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as log:
        os.fchmod(descriptor, 0o600)
        log.write(f"{line}\n")
