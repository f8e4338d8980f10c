"""Every way a run can end badly, as a message, a JSON result and an exit code. The one place that maps them."""

from __future__ import annotations

import os
import sys
import traceback
from typing import Any, cast

import click

from binderbox.cli.session import Session
from binderbox.errors import BinderboxError, ChecksFailed, Interrupted, UsageError
from binderbox.output.jsonlines import error_line
from binderbox.output.report.checks import render_checks
from binderbox.output.report.error import render_error
from binderbox.output.results import CheckReport, CheckResult


def report_failure(session: Session, raised: BaseException) -> int:
    """Tell what happened in four parts, on stderr and with --json as the last line of stdout."""
    if isinstance(raised, click.exceptions.Exit):
        return raised.exit_code
    if isinstance(raised, click.exceptions.NoArgsIsHelpError):
        raised.show()
        return raised.exit_code
    session.quiet()
    error = as_error(session, raised)
    style = session.style(sys.stderr)
    log = str(session.log or "")
    checks = error.checks if isinstance(error, ChecksFailed) else ()
    bad = tuple(one for one in checks if isinstance(one, CheckResult) and one.verdict in ("warn", "fail"))
    shown = bool(bad) and not session.json
    if shown:
        print(render_checks(CheckReport(session.host, bad), style), file=sys.stderr, end="\n\n")
    if session.verbose > 1 and not isinstance(error, Interrupted):
        traceback.print_exception(raised)
    print(render_error(error, style, log=log, cause=not shown), file=sys.stderr)
    if session.json or _wants_json(session):
        phases = cast(Any, session.finished_phases)
        session.emit(error_line(session.command, session.host, error, phases, log))
    return error.exit_code


def as_error(session: Session, raised: BaseException) -> BinderboxError:
    """What was raised, as one of ours; an unknown exception is a bug, and its traceback goes to the log."""
    if isinstance(raised, BinderboxError):
        return raised
    if isinstance(raised, (click.Abort, KeyboardInterrupt)):
        return Interrupted(
            "interrupted; what was done stays, and the host's lock is released",
            remedy=f"{session.command_line()}   (continues)",
        )
    if isinstance(raised, click.ClickException):
        context = getattr(raised, "ctx", None)
        path = context.command_path if context is not None else "binderbox"
        session.command = session.command or path.partition(" ")[2]
        return UsageError(raised.format_message(), remedy=f"{path} --help")
    if isinstance(raised, SystemExit):
        return BinderboxError(
            f"something ended the program with {raised.code!r}", remedy="please report this bug"
        )
    _log_bug(session, raised)
    return BinderboxError(
        f"a bug in binderbox: {type(raised).__name__}: {raised}",
        cause="this was not foreseen; what was done on the host stays",
        remedy="run it again with -vv, and report the bug with the log",
    )


def _log_bug(session: Session, raised: BaseException) -> None:
    import logging

    if session.log is None:
        from binderbox.cli.log import open_log

        session.log = open_log(session.host or "binderbox", echo=False)
    logging.getLogger("binderbox").error("not foreseen", exc_info=raised)


def _wants_json(session: Session) -> bool:
    """Whether --json was given to a command line that could not be parsed to its end."""
    given = os.environ.get("BINDERBOX_JSON", "").lower() in ("1", "true", "yes", "on")
    return given or "--json" in session.argv
