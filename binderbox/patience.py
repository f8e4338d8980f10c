"""How long is too long, so that a machine slower than any that is sold can be tried.

`BINDERBOX_PATIENCE=6` makes the waits of ssh, HTTP, S3, phases and drains six times as long. What the node waits for by
itself, and what a launch may take, is not touched.
"""

from __future__ import annotations

import os

VARIABLE = "BINDERBOX_PATIENCE"
AT_MOST = 60.0


def patient(seconds: float) -> float:
    """So many seconds, times the factor that the environment gives: 1 where it gives none, or none that can be read."""
    try:
        factor = float(os.environ.get(VARIABLE, ""))
    except ValueError:
        return seconds
    return seconds * factor if 1 <= factor <= AT_MOST else seconds
