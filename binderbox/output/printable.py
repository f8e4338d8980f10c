"""Somebody else's text, made fit for a terminal."""

from __future__ import annotations

import re

TOLD_CHARACTERS = 300


def printable(text: str) -> str:
    """Text of somebody else's server, safe for a terminal: one line, no control characters, not endless."""
    clean = re.sub(r"\s+", " ", "".join(one if one.isprintable() else " " for one in text)).strip()
    return clean if len(clean) <= TOLD_CHARACTERS else clean[: TOLD_CHARACTERS - 3] + "..."
