"""One run of the program: its flags, its two streams, its log file, and the last word.

stdout carries the answer, or JSON lines with --json; stderr carries the talk. A reader of stdout who goes away (`| head`)
ends nothing: the work goes on and the exit code is the real one.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from binderbox.output.jsonlines import Result
    from binderbox.output.progress import Watched
    from binderbox.output.report.style import Style
    from binderbox.output.requests import Connection


class Session:
    """What `main` and the commands share. The flags are set by options before and after the command's name."""

    def __init__(self, argv: tuple[str, ...]) -> None:
        self.argv = argv
        self.json = False
        self.verbose = 0
        self.ssh_config: Path | None = None
        self.address: str | None = None
        self.ask_sudo = False
        self.command = ""
        self.host = ""
        self.log: Path | None = None
        self._progress: Watched | None = None

    def start(self, command: str, host: str = "") -> None:
        """Name the command, and for a host open the log file that a failure will name."""
        self.command, self.host = command, host
        if host:
            import signal

            from binderbox.cli.log import open_log
            from binderbox.cli.target import host_name

            self.log = open_log(host_name(host), echo=self.verbose > 1)
            signal.signal(
                signal.SIGTERM, signal.default_int_handler
            )  # a cancelled CI job releases the lock too

    def connection(self, host: str) -> Connection:
        """How to reach HOST; `demo` is the running demo host. Asks for sudo's password when told to."""
        from binderbox.cli.target import connection

        return connection(host, self.ssh_config, ask_sudo=self.ask_sudo, address=self.address)

    @property
    def progress(self) -> Watched:
        if self._progress is None:
            from binderbox.output import progress

            if self.json:
                self._progress = progress.Events(self.emit, verbose=self.verbose)
            elif _is_screen(sys.stderr):
                from binderbox.output.live import Screen

                self._progress = Screen(self.style(sys.stderr), verbose=self.verbose)
            else:
                self._progress = progress.Lines(sys.stderr, self.style(sys.stderr), verbose=self.verbose)
        return self._progress

    @property
    def finished_phases(self) -> tuple[object, ...]:
        return () if self._progress is None else tuple(self._progress.finished)

    def style(self, stream: object) -> Style:
        from binderbox.output.report.style import Style

        return Style(colour=_is_screen(stream) and not os.environ.get("NO_COLOR"))

    def confirm(self, assume_yes: bool) -> Callable[[str], bool]:
        """A function that asks on a terminal; with --yes it agrees, and where nobody can answer it refuses."""

        def ask(question: str) -> bool:
            if assume_yes:
                return True
            if self.json or not (sys.stdin.isatty() and sys.stderr.isatty()):
                from binderbox.errors import UsageError

                raise UsageError(
                    f'there is nobody to ask "{question}"',
                    remedy=f"{self.command_line(extra='--yes')}",
                )
            return click.confirm(question, err=True)

        return ask

    def command_line(self, extra: str = "") -> str:
        """This very command, to be pasted into a shell."""
        import shlex

        return shlex.join(["binderbox", *self.argv, *([extra] if extra else [])])

    def answer(self, result: Result, text: Callable[[Style], str], *, exit_code: int | None = None) -> int:
        """Print the result as JSON or as text, and return the exit code of the command."""
        from binderbox.cli.exits import exit_code_of
        from binderbox.output.jsonlines import result_line

        code = exit_code_of(result) if exit_code is None else exit_code
        self.quiet()
        self.emit(result_line(self.command, result, code) if self.json else text(self.style(sys.stdout)))
        return code

    def emit(self, text: str) -> None:
        """Write to stdout, whether or not anybody still reads it."""
        try:
            print(text, flush=True)
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

    def quiet(self) -> None:
        """Take the moving line off the screen."""
        if self._progress is not None:
            self._progress.close()

    def close(self) -> None:
        self.quiet()
        if self.log is not None:
            from binderbox.cli.log import close_log

            close_log()
        try:
            sys.stdout.flush()
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _is_screen(stream: object) -> bool:
    isatty = getattr(stream, "isatty", None)
    return bool(isatty and isatty()) and os.environ.get("TERM") != "dumb"
