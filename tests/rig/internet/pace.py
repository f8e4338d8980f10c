"""How fast bytes go out, for one answer or for all of them together."""

from __future__ import annotations

import threading
import time


class Pace:
    """One line with a width; who sends over it waits for the others."""

    def __init__(self, bytes_s: float) -> None:
        self.bytes_s = bytes_s
        self._free_at_s = 0.0
        self._lock = threading.Lock()

    @property
    def block(self) -> int:
        """A tenth of a second, so that a slow answer flows and does not come in jerks."""
        return max(1, int(self.bytes_s / 10))

    def wait(self, size: int) -> None:
        """Until so many bytes have gone, after all that went before them."""
        with self._lock:
            now_s = time.monotonic()
            self._free_at_s = max(now_s, self._free_at_s) + size / self.bytes_s
            gone_s = self._free_at_s - now_s
        time.sleep(gone_s)
