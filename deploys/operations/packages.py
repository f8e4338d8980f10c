"""Packages, where others install some as well."""

from __future__ import annotations

from collections.abc import Generator
from importlib.resources import files

from pyinfra.api import QuoteString, StringCommand, operation

SCRIPT = files("binderbox.deploys.files") / "wait-for-apt.sh"
FIRST_MINUTES_S = 900  # a release upgrade of unattended-upgrades on a small machine; then it is stuck


def words(at_most_s: int) -> tuple[str, ...]:
    """The command that waits so long; with 0 it says who installs packages now."""
    return ("sh", "-c", SCRIPT.read_text(), "sh", str(at_most_s))


@operation()
def nobody_else() -> Generator[StringCommand, None, None]:
    """Wait until cloud-init has set the machine up and nobody holds a lock of apt or dpkg."""
    shell, flag, script, *rest = words(FIRST_MINUTES_S)
    yield StringCommand(shell, flag, QuoteString(script), *rest)
