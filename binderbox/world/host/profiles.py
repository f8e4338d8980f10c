"""AppArmor's list of profiles."""

from __future__ import annotations


def parse_profiles(text: str) -> dict[str, str]:
    """Name to mode, of lines `NAME (MODE)`."""
    rows = (line.rpartition(" (")[::2] for line in text.splitlines())
    return {name: mode.rstrip(")") for name, mode in rows if name}
