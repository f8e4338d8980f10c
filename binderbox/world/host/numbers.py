"""Files of the kernel that hold one number each."""

from __future__ import annotations


def parse_numbers(text: str) -> dict[str, int]:
    """Path to number, of `grep -H`'s lines `PATH:NUMBER`; what is no number is left out."""
    rows = (line.rpartition(":")[::2] for line in text.splitlines())
    return {path: int(number) for path, number in rows if number.isdigit()}
