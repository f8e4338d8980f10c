"""The command for how a member is doing."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.common
@click.pass_obj
def status(session: Session, host: str) -> int:
    """Show how the member is doing, on one screen.

    \b
    binderbox status host.example
    """
    session.start("status", host)

    from binderbox.output.report.status import render_status
    from binderbox.output.requests import StatusRequest

    request = StatusRequest(session.connection(host))

    from binderbox.commands.status import status as look

    result = look(request, session.progress)
    return session.answer(result, lambda style: render_status(result, style))
