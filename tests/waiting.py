"""Waiting for what happens elsewhere, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable


def wait_until(holds: Callable[[], object], within_s: float, what: str) -> float:
    """Wait for something and return the seconds it took; fails the test when it does not come."""
    started = time.monotonic()
    while not holds():
        assert time.monotonic() - started < within_s, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.2)
    return time.monotonic() - started
