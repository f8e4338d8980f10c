"""What all reports share: colours that only a terminal gets, seconds as people say them, columns.

The words are the same without colours, so that a log can be searched. Pure: plain values in, text out, no trailing newline.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

COLOURS = {"pass": "32", "ok": "32", "warn": "33", "fail": "31", "FAIL": "31", "skip": "2", "error": "31"}
UNCUT = 10_000  # columns of a terminal that nobody has
MARKS = {"pass": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


@dataclass(frozen=True)
class Style:
    """How text may look; `colour` only where somebody sees it and NO_COLOR is not set."""

    colour: bool = False

    def paint(self, word: str, kind: str) -> str:
        return f"\x1b[{COLOURS[kind]}m{word}\x1b[0m" if self.colour else word

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text


PLAIN = Style()


def seconds(value: float) -> str:
    """3.42 -> "3.4 s", 204 -> "3 min 24 s", 7380 -> "2 h 3 min"."""
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Rows as left-aligned columns, two spaces apart; none is cut, however narrow the terminal."""
    from rich.console import Console  # only who prints a table waits for it
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=UNCUT, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return indented(captured.get(), indent)


def indented(text: str, indent: str) -> str:
    return "\n".join(f"{indent}{line}".rstrip() for line in text.rstrip().splitlines())


def count_of(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"
