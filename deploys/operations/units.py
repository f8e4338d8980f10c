"""Units of systemd that are to be up.

One that is on its way up is let be: systemd brings back what ended (`Restart=always`), the door starts BuildKit anew by
itself, and whether it gets there is what a phase's proof waits for.
"""

from __future__ import annotations

from collections.abc import Generator

from pyinfra import host
from pyinfra.api import QuoteString, StringCommand, operation

from binderbox.deploys.facts.units import UnitState

UP = ("active", "activating", "reloading", "refreshing")  # systemctl(1), the states of a unit


@operation()
def up(*, unit: str, at_boot: bool = True) -> Generator[StringCommand, None, None]:
    """Have a unit started, now and, unless `at_boot` is false, at each boot."""
    found = host.get_fact(UnitState, unit=unit)
    if at_boot and found.get("UnitFileState") != "enabled":
        yield StringCommand("systemctl", "enable", "--quiet", QuoteString(unit))
    if found.get("ActiveState") not in UP:
        yield StringCommand("systemctl", "start", QuoteString(unit))


@operation()
def all_up(*, units: tuple[str, ...], waits: bool = True) -> Generator[StringCommand, None, None]:
    """The same of several, each kind of change at once: systemd reads all its units anew whenever one is enabled.

    + waits: until they say that they are up; for one that takes minutes see commands/settling.py
    """
    found = {unit: host.get_fact(UnitState, unit=unit) for unit in units}
    disabled = [unit for unit in units if found[unit].get("UnitFileState") != "enabled"]
    down = [unit for unit in units if found[unit].get("ActiveState") not in UP]
    if disabled:
        yield StringCommand("systemctl", "enable", "--quiet", *map(QuoteString, disabled))
    if down:
        yield StringCommand(
            "systemctl", "start", *(() if waits else ("--no-block",)), *map(QuoteString, down)
        )
