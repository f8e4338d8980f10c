"""The commands about abuse of a member."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.group()
def abuse() -> None:
    """See whether strangers' code can harm others from the member."""


@abuse.command("check")
@options.host_argument
@options.common
@click.pass_obj
def check(session: Session, host: str) -> int:
    """Try from a notebook, and from a step of its build, what abusers try.

    Nothing of it leaves the node: what is scanned leads to an interface behind which nothing is.

    \b
    binderbox abuse check host.example
    """
    session.start("abuse check", host)

    from binderbox.output.report.abuse import render_abuse
    from binderbox.output.requests import AbuseRequest

    request = AbuseRequest(session.connection(host))

    from binderbox.commands.abuse import check as check_abuse

    result = check_abuse(request, session.progress)
    return session.answer(result, lambda style: render_abuse(result, style))
