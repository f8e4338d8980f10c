"""Asks a publisher again who is busy, or whose answer broke off: a moment later it may be well."""

from __future__ import annotations

import time
from collections.abc import Mapping

from binderbox.errors import BrokenOff
from binderbox.output.requests import Ask, Said
from binderbox.parts.fetch.answers import BUSY, wait_s

TRIES, PAUSE_S = 3, 1.0
LONGEST_S = 30.0  # who asks for more patience than that is told of at once


def patiently(ask: Ask) -> Ask:
    """The same question up to three times; raises what `ask` does."""

    def asked(url: str, headers: Mapping[str, str], limit_mb: float) -> Said:
        for left in reversed(range(TRIES)):
            after_s = 0.0
            try:
                said = ask(url, headers, limit_mb)
            except BrokenOff:
                if not left:
                    raise
            else:
                after_s = wait_s(said.headers.get("retry-after", ""))
                if not left or said.status not in BUSY or after_s > LONGEST_S:
                    return said
            time.sleep(max(after_s, PAUSE_S * (TRIES - left)))
        raise AssertionError("the last try has returned or raised")

    return asked
