"""How the node's program that fetches is called."""

from __future__ import annotations

from binderbox import layout

WORDS = (
    "env",
    f"PYTHONPATH={layout.FETCH}",
    f"PYTHONPYCACHEPREFIX={layout.RUN}/pycache",
    "python3",
    "-m",
    "binderbox.parts.fetch",
)
