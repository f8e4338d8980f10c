"""One JSON line per event on stderr, which systemd keeps in the journal."""

from __future__ import annotations

import json
import sys
import threading

_one_at_a_time = threading.Lock()


def say(event: str, **fields: object) -> None:
    """Write an event: `journalctl -u binderbox-door -o cat | jq` reads them."""
    line = json.dumps(
        {"event": event, **{key: value for key, value in fields.items() if value not in (None, "")}}
    )
    with _one_at_a_time:
        sys.stderr.write(line + "\n")
        sys.stderr.flush()
