"""What is on a host because of binderbox."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.resources import files

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox import layout

SCRIPT = files("binderbox.world.host") / "leftovers.sh"


class Leftovers(FactBase[list[tuple[str, str]]]):
    """(kind, name) pairs; with `purge`, data, secrets and the config count too."""

    def command(self, purge: bool = False) -> StringCommand:
        settings = map(QuoteString, layout.SCRIPT_SETTINGS)
        mode = "purge" if purge else "keep"
        return StringCommand("sh", "-c", QuoteString(SCRIPT.read_text()), "sh", mode, *settings)

    @staticmethod
    def default() -> list[tuple[str, str]]:
        return []

    def process(self, output: Iterable[str]) -> list[tuple[str, str]]:
        pairs = (line.partition("\t") for line in output)
        return [(kind, name) for kind, _, name in pairs]
