"""The command that launches a repository on a member."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@click.argument("url", required=False, metavar="[URL]")
@options.option("--ref", default="HEAD", show_default=True, help="Branch, tag or commit.")
@options.option("--stop", is_flag=True, help="Stop the notebook's server once it has answered.")
@options.common
@click.pass_obj
def launch(session: Session, host: str, url: str | None, ref: str, stop: bool) -> int:
    """Launch a repository on the member, as a visitor would.

    Without URL: a small sample repository that binderbox brings along.

    \b
    binderbox launch host.example https://github.com/binder-examples/requirements
    """
    session.start("launch", host)

    from binderbox.output.report.launch import render_launch
    from binderbox.output.requests import LaunchRequest

    request = LaunchRequest(session.connection(host), url, ref, stop)

    from binderbox.commands.launch import launch as launch_repository

    result = launch_repository(request, session.progress)
    return session.answer(result, lambda style: render_launch(result, style))
