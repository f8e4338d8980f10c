"""Builds allowed per address and hour; the window is fixed and does not slide."""

import time

from traitlets import Dict, Integer
from traitlets.config import LoggingConfigurable


class RateLimitExceeded(Exception):
    pass


class RateLimiter(LoggingConfigurable):
    """+ limit: requests per window, 0 for no limit."""

    limit = Integer(10, config=True)
    period_seconds = Integer(3600, config=True)
    clean_seconds = Integer(600, config=True)
    _windows = Dict()

    def increment(self, key: str) -> dict[str, int]:
        now = int(time.time())
        window = self._windows.get(key)
        if window is None or window["reset"] < now:
            self._windows = {k: w for k, w in self._windows.items() if w["reset"] > now}
            window = self._windows[key] = {"remaining": self.limit, "reset": now + self.period_seconds}
        window["remaining"] -= 1
        if window["remaining"] < 0:
            raise RateLimitExceeded(key)
        return window
