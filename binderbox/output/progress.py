"""The tree of phases on stderr, and what it waits for; with --json the same as event lines on stdout.

A terminal gets one line that moves while a phase runs (`live.py`), anything else one line per change of state and a
heartbeat every 30 s, so that a CI log tells a slow step from a hung one. Times are seconds on a monotonic clock.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from binderbox.output.jsonlines import event_line
from binderbox.output.report.phases import render_phase
from binderbox.output.report.style import Style
from binderbox.output.results import PhaseResult

LOG = logging.getLogger("binderbox.output.progress")

HEARTBEAT_S = 30.0  # shorter than the idle limit of any hosted CI, long enough to read


class Progress(Protocol):
    """What phases and waits tell whoever watches. None of it is ever a secret."""

    def phase_started(self, title: str) -> None: ...
    def waiting(self, obj: str, reason: str, elapsed_s: float, last_event: str = "") -> None:
        """Still waiting for `obj` (a unit, a pod, a lock), because of `reason`; called as often as one likes."""

    def phase_done(self, title: str, seconds: float, changed: int, unchanged: int) -> None: ...
    def phase_failed(self, title: str, seconds: float) -> None: ...
    def detail(self, text: str) -> None:
        """What -v shows: an operation that changed something, a file that goes up."""

    def note(self, text: str) -> None:
        """What everybody should read: a warning, an address, how long the next thing usually takes."""


class Watched:
    """The common part: which phase runs, what it last waited for, and a thread that beats while nothing is said.

    A wait is told when its object or its reason changes. A new last event, as each line of a build's log is one, goes to
    the log file alone, and to whoever looks when the heartbeat beats.
    """

    def __init__(
        self, *, heartbeat_s: float = HEARTBEAT_S, now: Callable[[], float] = time.monotonic
    ) -> None:
        self.phase = ""
        self.finished: list[PhaseResult] = []
        self._wait: tuple[str, str, str] | None = None
        self._started = now()
        self._now = now
        self._spoken = now()
        self._heartbeat_s = heartbeat_s
        self._lock = threading.RLock()
        self._stop = threading.Event()
        self._beat: threading.Thread | None = None

    def phase_started(self, title: str) -> None:
        with self._lock:
            self.phase, self._wait, self._started = title, None, self._now()
            self._tell({"type": "phase", "event": "started", "title": title})
        if self._beat is None and self._heartbeat_s > 0:
            beat = threading.Thread(target=self._run, name="heartbeat", daemon=True)
            beat.start()
            self._beat = beat  # only now: one that an interrupt kept from starting cannot be joined

    def waiting(self, obj: str, reason: str, elapsed_s: float, last_event: str = "") -> None:
        with self._lock:
            before, self._wait = self._wait, (obj, reason, last_event)
            if before is None or before[:2] != (obj, reason):
                self._tell_wait(elapsed_s)
            elif before != self._wait:
                LOG.info("%s", last_event)

    def phase_done(self, title: str, seconds: float, changed: int, unchanged: int) -> None:
        counts: dict[str, Any] = {"seconds": round(seconds, 3), "changed": changed, "unchanged": unchanged}
        self.finished.append(PhaseResult(title, counts["seconds"], changed, unchanged))
        self._end({"type": "phase", "event": "done", "title": title, **counts})

    def phase_failed(self, title: str, seconds: float) -> None:
        self._end({"type": "phase", "event": "failed", "title": title, "seconds": round(seconds, 3)})

    def detail(self, text: str) -> None:
        with self._lock:
            self._tell({"type": "detail", "text": text})

    def note(self, text: str) -> None:
        with self._lock:
            self._tell({"type": "note", "text": text})

    def close(self) -> None:
        """Stop the heartbeat; nothing is said after that."""
        self._stop.set()
        if self._beat is not None:
            self._beat.join(timeout=2)

    def beat(self) -> None:
        """Say again what runs, when nothing was said for the length of a heartbeat."""
        with self._lock:
            if not self.phase or self._now() - self._spoken < self._heartbeat_s:
                return
            elapsed_s = self._now() - self._started
            if self._wait is not None:
                self._tell_wait(elapsed_s)
            else:
                self._tell(
                    {"type": "phase", "event": "running", "title": self.phase, "seconds": round(elapsed_s, 3)}
                )

    def tell(self, event: dict[str, Any]) -> None:
        """Show one event; the subclass knows where."""
        raise NotImplementedError

    def _tell(self, event: dict[str, Any]) -> None:
        self._spoken = self._now()
        LOG.info("%s", event_line(event))
        self.tell(event)

    def _tell_wait(self, elapsed_s: float) -> None:
        assert self._wait is not None
        obj, reason, last_event = self._wait
        event = {"type": "waiting", "title": self.phase, "object": obj, "reason": reason}
        self._tell(event | {"last_event": last_event, "seconds": round(elapsed_s, 3)})

    def _end(self, event: dict[str, Any]) -> None:
        with self._lock:
            self.phase, self._wait = "", None
            self._tell(event)

    def _run(self) -> None:
        while not self._stop.wait(min(1.0, self._heartbeat_s)):
            self.beat()


class Lines(Watched):
    """One line per change of state, for a log or a pipe. `verbose` 1 shows details."""

    def __init__(self, stream: TextIO, style: Style, *, verbose: int = 0, **timing: Any) -> None:
        super().__init__(**timing)
        self.stream, self.style, self.verbose = stream, style, verbose

    def tell(self, event: dict[str, Any]) -> None:
        if event["type"] == "detail" and not self.verbose:
            return
        try:
            print(render_phase(event, self.style), file=self.stream, flush=True)
        except (BrokenPipeError, ValueError):  # nobody reads any more; the work goes on
            self.stream = open(os.devnull, "w")  # noqa: SIM115


class Events(Watched):
    """JSON event lines, through `write`, which gets whole lines without their end."""

    def __init__(self, write: Callable[[str], None], *, verbose: int = 0, **timing: Any) -> None:
        super().__init__(**timing)
        self.write, self.verbose = write, verbose

    def tell(self, event: dict[str, Any]) -> None:
        if event["type"] != "detail" or self.verbose:
            self.write(event_line(event))
