"""How a unit of systemd is."""

from __future__ import annotations

from collections.abc import Iterable

from pyinfra.api import FactBase, QuoteString, StringCommand

from binderbox.world.pyinfra.connector import Looking


class UnitState(FactBase[dict[str, str]]):
    """`ActiveState` and `UnitFileState` of one unit in systemd's words; nothing of one that is not there yet."""

    def command(self, unit: str) -> StringCommand:
        shown = "ActiveState,UnitFileState"
        return Looking(
            "systemctl", "show", "--property", shown, QuoteString(unit), "2>/dev/null", "||", "true"
        )

    @staticmethod
    def default() -> dict[str, str]:
        return {}

    def process(self, output: Iterable[str]) -> dict[str, str]:
        return dict(line.split("=", 1) for line in output if "=" in line)
