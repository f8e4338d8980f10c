"""Builds that are under way when the builder is to be restarted."""

from __future__ import annotations

from collections.abc import Generator
from importlib.resources import files

from pyinfra.api import QuoteString, StringCommand, operation

from binderbox.layout import DOOR_STATUS, DOOR_UNIT
from binderbox.parts.builder.settings import MAX_BUILD_S

SCRIPT = files("binderbox.deploys.files") / "wait-for-builds.sh"


@operation()
def ended() -> Generator[StringCommand, None, None]:
    """Wait until no build is at the door, for as long as a build may take; what is there then is ended by the restart."""
    words = (DOOR_STATUS, DOOR_UNIT, str(MAX_BUILD_S))
    yield StringCommand("sh", "-c", QuoteString(SCRIPT.read_text()), "sh", *words)
