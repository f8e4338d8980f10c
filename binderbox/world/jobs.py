"""What the node's jobs keep, each as JSON: one of them, or all in one go."""

from __future__ import annotations

import base64
import json
import shlex
from typing import Any

from binderbox import layout
from binderbox.world.host.hosts import Host

STATES = (
    layout.FOLLOW_STATE,
    layout.WATCH_STATE,
    layout.ABUSE_STATE,
    layout.GUARD_STATE,
    layout.RETENTION_STATE,
    layout.DISK_STATE,
)
LOOK_S = 20


def kept(host: Host, *paths: str) -> dict[str, Any]:
    """Path to what is kept there, for those of `paths` (all, if none is given) that a job has written."""
    words = " ".join(map(shlex.quote, paths or STATES))
    output = host.sh(
        f'for f in {words}; do [ -e "$f" ] && echo "$f $(base64 -w 0 "$f")"; done; true', timeout_s=LOOK_S
    )
    rows = (line.split(" ", 1) for line in output.text.splitlines())
    return {path: json.loads(base64.b64decode(text)) for path, text in rows}
