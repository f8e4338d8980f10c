"""Waiting for what happens elsewhere, with an end."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def wait_until(look: Callable[[], T], within_s: float, what: str) -> T:
    """Look until something is there, and return it; fails the test when it does not come."""
    started = time.monotonic()
    while not (seen := look()):
        assert time.monotonic() - started < within_s, f"{what}: not within {within_s:.0f} s"
        time.sleep(0.2)
    return seen
