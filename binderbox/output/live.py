"""Progress on a terminal: finished phases stay, below them one line moves with what runs and what it waits for."""

from __future__ import annotations

import time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.spinner import Spinner
from rich.table import Table
from rich.text import Text

from binderbox.output.progress import Watched
from binderbox.output.report.phases import render_phase
from binderbox.output.report.style import Style, seconds


class Screen(Watched):
    """The moving line lives only while a phase runs, so that questions can be asked between phases."""

    def __init__(self, style: Style, *, verbose: int = 0, console: Console | None = None) -> None:
        super().__init__(heartbeat_s=0)
        self.style, self.verbose = style, verbose
        self.console = console or Console(stderr=True, highlight=False, no_color=not style.colour)
        self._spinner = Spinner("dots")
        self._live: Live | None = None

    def tell(self, event: dict[str, Any]) -> None:
        if event["type"] == "waiting" or (event["type"] == "detail" and not self.verbose):
            return
        if event.get("event") == "started":
            self._show()
            return
        if event["type"] == "phase":
            self._hide()
        self.console.print(Text.from_ansi(render_phase(event, self.style)))

    def close(self) -> None:
        self._hide()
        super().close()

    def line(self) -> Table:
        """The moving line, cut at the width of the terminal."""
        text = f"{self.phase}  {seconds(time.monotonic() - self._started)}"
        if self._wait is not None:
            obj, reason, last_event = self._wait
            text += f"  waiting for {obj}: {reason}" + (f" ({last_event})" if last_event else "")
        grid = Table.grid(padding=(0, 1))
        grid.add_column(width=3)
        grid.add_column(no_wrap=True, overflow="ellipsis")
        grid.add_row(self._spinner, Text(text, no_wrap=True, overflow="ellipsis"))
        return grid

    def _show(self) -> None:
        self._hide()
        self._live = Live(
            get_renderable=self.line, console=self.console, transient=True, refresh_per_second=4
        )
        self._live.start()

    def _hide(self) -> None:
        if self._live is not None:
            self._live.stop()
            self._live = None
