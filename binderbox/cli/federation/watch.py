"""`federation status --watch`: the screen redrawn, and what changed marked, for the hour after a change."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from datetime import datetime

from binderbox.cli.session import Session
from binderbox.errors import BinderboxError, UsageError
from binderbox.federation.members.render import render_status
from binderbox.federation.members.status import FederationStatus
from binderbox.federation.members.watched import changed_members
from binderbox.output.report.style import Style

EVERY_S = 15.0  # as often as the redirector itself looks, by the chart
FOR_S = 3600.0
CLEAR = "\x1b[2J\x1b[H"
MARKED = 10  # lines of what changed that stay on the screen


def watch(
    session: Session,
    look: Callable[[], FederationStatus],
    *,
    every_s: float = EVERY_S,
    for_s: float = FOR_S,
    sleep: Callable[[float], None] = time.sleep,
) -> FederationStatus:
    """Look until the hour is over or Ctrl-C, and return the last look. A look that fails is told, and the next one made.

    On a terminal the screen is drawn anew; anywhere else only what changed is printed.
    """
    if session.json:
        raise UsageError("--watch draws a screen, and --json is one answer", remedy="leave one of them out")
    screen, style = sys.stdout.isatty(), session.style(sys.stdout)
    deadline, told = time.monotonic() + for_s, list[str]()
    before = look()
    _draw(before, told, style, screen)
    try:
        while time.monotonic() < deadline:
            sleep(every_s)
            at = f"{datetime.now():%H:%M:%S}"
            try:
                now = look()
            except BinderboxError as error:
                lines = [f"{at}  {error.message}"]
                now = before
            else:
                lines = [
                    f"{at}  {name}: {', '.join(words)}"
                    for name, words in changed_members(before, now).items()
                ]
            told = [*told, *lines][-MARKED:]
            if screen:
                _draw(now, told, style, screen)
            elif lines:
                print("\n".join(lines), flush=True)
            before = now
    except KeyboardInterrupt:
        pass
    return before


def _draw(status: FederationStatus, told: list[str], style: Style, screen: bool) -> None:
    text = render_status(status, style)
    marked = "\n".join(style.bold(line) for line in told)
    print(f"{CLEAR if screen else ''}{text}" + (f"\n\n{marked}" if marked else ""), flush=True)
