"""One JSON line per event on stderr, which systemd keeps in the journal. Standard library only: it travels to the node."""

from __future__ import annotations

import json
import sys
import threading
import time

_one_at_a_time = threading.Lock()
SELDOM_S = 1.0
_said: dict[str, tuple[float, int]] = {}  # event and kind -> when it was said last, and how often it was not


def say(event: str, **fields: object) -> None:
    """Write an event: `journalctl -u UNIT -o cat | jq` reads them."""
    line = json.dumps(
        {"event": event, **{key: value for key, value in fields.items() if value not in (None, "")}}
    )
    with _one_at_a_time:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()


def say_seldom(event: str, kind: str = "", **fields: object) -> None:
    """Write an event that a stranger can cause as often as it likes: once a second at most, with how many were left out."""
    name, now = f"{event} {kind}", time.monotonic()
    last, left_out = _said.get(name, (-SELDOM_S, 0))
    if now - last < SELDOM_S:
        _said[name] = (last, left_out + 1)
        return
    _said[name] = (now, 0)
    say(event, **fields, left_out=left_out or None)
