"""The commands that take a member out of rotation and bring it back."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.option("--reason", default="", metavar="TEXT", help="Why; /health shows it to everybody.")
@options.option(
    "--wait", is_flag=True, help="Stay until nobody is on the member, then have it refuse launches as well."
)
@options.option(
    "--federation",
    default="https://mybinder.org",
    show_default=True,
    metavar="URL",
    help="The redirector that is asked whether the member is its prime, which is refused.",
)
@options.lock_wait
@options.yes
@options.common
@click.pass_obj
def drain(
    session: Session, host: str, reason: str, wait: bool, federation: str, lock_wait: float, yes: bool
) -> int:
    """Take the member out of rotation; sessions and builds go on.

    Its /health answers 503 and the reason, so the redirector sends nobody there from its next check on. Nothing is
    restarted. It stays so through reboots and installs, until `binderbox resume HOST`.

    \b
    binderbox drain host.example --reason "new disk" --wait
    """
    session.start("drain", host)

    from binderbox.commands.drain import DrainRequest
    from binderbox.commands.drain import drain as take_out

    request = DrainRequest(session.connection(host), reason, federation, wait, lock_wait)
    result = take_out(request, session.progress, session.confirm(yes))

    from binderbox.output.report.drain import render_drain

    return session.answer(result, lambda style: render_drain(result, style))


@click.command()
@options.host_argument
@options.lock_wait
@options.common
@click.pass_obj
def resume(session: Session, host: str, lock_wait: float) -> int:
    """Bring a drained member back into rotation.

    \b
    binderbox resume host.example
    """
    session.start("resume", host)

    from binderbox.commands.drain import ResumeRequest
    from binderbox.commands.drain import resume as bring_back

    result = bring_back(ResumeRequest(session.connection(host), lock_wait), session.progress)

    from binderbox.output.report.drain import render_drain

    return session.answer(result, lambda style: render_drain(result, style))
