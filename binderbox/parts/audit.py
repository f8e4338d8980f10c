"""The audit log, as the node's own programs write it, in the form of those lines that people's commands add
(world/host/lock.py). Standard library only: it travels with them."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path


def append(path: Path, who: str, event: str, command: str, **more: str) -> None:
    """One line. Raises OSError."""
    at = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
    line = json.dumps({"at": at, "who": who, "event": event, "command": command, **more})
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "a", encoding="utf-8") as log:
        os.fchmod(descriptor, 0o600)
        log.write(f"{line}\n")
