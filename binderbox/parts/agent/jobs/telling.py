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

WHO = {"follow": "the follower on this node", "watch": "the watch on this node"}


def now() -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())


def audit(job: str, event: str, **more: str) -> None:
    """One line in the same log, in the same form, as those of people's commands (world/lock.py)."""
    line = json.dumps({"at": now(), "who": WHO[job], "event": event, "command": job, **more})
    path = Path(layout.AUDIT_FILE)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as log:
        log.write(line + "\n")
    path.chmod(0o600)
    say(event, **more)


def say(event: str, **more: str) -> None:
    """One line for the journal."""
    print(event, *(f"{key}={value}" for key, value in more.items()), flush=True)


def state(path: str, found: dict[str, Any]) -> None:
    """What the last run of a job saw and decided; `status` and `federation follow` show it."""
    files.write(path, json.dumps({"at": now(), **found}, indent=1, sort_keys=True) + "\n")


def record() -> Record:
    return followed.parse(files.read(layout.FOLLOWED_FILE))


def keep(found: Record) -> None:
    files.write(layout.FOLLOWED_FILE, followed.render(found), 0o600)
