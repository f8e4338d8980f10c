"""`NAME=N`, as options of several commands take it."""

from __future__ import annotations

from collections.abc import Sequence

from binderbox.errors import UsageError
from binderbox.federation.deployrepo.words import WHOLE


def parse_pairs(option: str, texts: Sequence[str]) -> dict[str, int]:
    """Whole numbers by member; raises UsageError."""
    found: dict[str, int] = {}
    for text in texts:
        name, separator, value = text.rpartition("=")
        if not (name and separator):
            raise UsageError(f"{option} {text}: needed is NAME=N", remedy=f"{option} my-member=50")
        if not WHOLE.fullmatch(value):
            raise UsageError(
                f"{option} {text}: needed is a whole number of at least 0, and of six digits at most"
            )
        if name in found:
            raise UsageError(f"{option} names {name} twice", remedy="say it once")
        found[name] = int(value)
    return found
