"""What the jobs leave for people: the audit log, each its own state for `status`, and followed.toml."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

from binderbox import layout
from binderbox.federation.following import followed
from binderbox.federation.following.followed import Record
from binderbox.parts.agent.jobs import files
from binderbox.parts.audit import append

WHO = {
    "follow": "the follower on this node",
    "watch": "the watch on this node",
    "abuse": "the abuse check on this node",
    "guard": "the guard on this node",
    "retention": "the registry's retention on this node",
    "disk": "the disk's job on this node",
}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def audit(job: str, event: str, **more: str) -> None:
    """One line in the audit log, and one in the journal."""
    append(Path(layout.AUDIT_FILE), WHO[job], event, job, **more)
    say(event, **more)


def say(event: str, **more: str) -> None:
    """One line for the journal."""
    print(event, *(f"{key}={value}" for key, value in more.items()), flush=True)


def state(path: str, found: dict[str, Any]) -> None:
    """What the last run of a job saw and decided; `status` and `federation follow` show it."""
    files.write(path, json.dumps({**found, "at": now()}, indent=1, sort_keys=True) + "\n")


def record() -> Record:
    return followed.parse(files.read(layout.FOLLOWED_FILE))


def keep(found: Record) -> None:
    files.write(layout.FOLLOWED_FILE, followed.render(found), 0o600)
