"""`federation follow`: the node stays equal to the prime by itself; this shows how it stands, and steers it."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.command()
@options.host_argument
@options.option("--now", is_flag=True, help="Let the node's follower run now, whatever its window.")
@options.option("--again", is_flag=True, help="With --now: try versions again that failed their proof here.")
@options.option("--hold", is_flag=True, help="Keep the node as it is until --release.")
@options.option(
    "--why", default="", metavar="TEXT", help="With --hold: the reason, for whoever finds it held."
)
@options.option("--release", is_flag=True, help="Let the node follow again.")
@options.common
@click.pass_obj
def follow(session: Session, host: str, now: bool, again: bool, hold: bool, why: str, release: bool) -> int:
    """Show what the prime runs, what the node runs, and the change.

    The node follows by itself, on a timer: pins of the federation only, proved by a launch, or taken back.

    \b
    binderbox federation follow host.example
    binderbox federation follow host.example --hold --why "a course until Friday"
    """
    session.start("federation follow", host)

    from binderbox.errors import UsageError

    if hold and release:
        raise UsageError("--hold and --release contradict each other", remedy="say one of them")
    if again and not now:
        raise UsageError("--again needs --now", remedy=f"binderbox federation follow {host} --now --again")

    from binderbox.commands.follow import UNWELL, FollowRequest, follow_host, render_follow

    request = FollowRequest(session.connection(host), now, again, why if hold else None, release)
    answer = follow_host(request, session.progress)
    exit_code = 5 if answer["verdict"] in UNWELL else 0
    return session.answer(answer, lambda _: render_follow(answer), exit_code=exit_code)
