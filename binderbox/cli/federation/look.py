"""The commands that look at the federation: status, check."""

from __future__ import annotations

from dataclasses import asdict

import click

from binderbox.cli import options
from binderbox.cli.federation.asked import asked, deploy_repo_option, federation_option
from binderbox.cli.session import Session

SICK = 5


@click.command()
@federation_option
@deploy_repo_option
@options.option("--watch", is_flag=True, help="Look again every 15 s for an hour, and mark what changed.")
@options.common
@click.pass_obj
def status(session: Session, federation: str, deploy_repo: str | None, watch: bool) -> int:
    """Show every member: in rotation or why not, shares, free places.

    Asks public addresses only. Of members that are out, the redirector tells no more than their names; with
    --deploy-repo they are asked too.

    \b
    binderbox federation status
    """
    session.start("federation status")

    from binderbox.commands.federation.look import status as look
    from binderbox.federation.members.render import render_status

    where = asked(federation, deploy_repo)
    if watch:
        from binderbox.cli.federation.watch import watch as keep_looking

        return SICK if not keep_looking(session, lambda: look(where)).well else 0
    result = look(where)
    return session.answer(
        asdict(result), lambda style: render_status(result, style), exit_code=0 if result.well else SICK
    )


@click.command()
@click.argument("member", metavar="NAME|HOST|URL")
@federation_option
@deploy_repo_option
@options.option("--repo", metavar="URL", help="Launch this repository, not a small one of binder-examples.")
@options.option("--ref", metavar="REF", help="Its branch, tag or commit.  [default: HEAD]")
@options.option("--no-launch", is_flag=True, help="Make no launch: only the door is knocked at.")
@options.common
@click.pass_obj
def check(
    session: Session,
    member: str,
    federation: str,
    deploy_repo: str | None,
    repo: str | None,
    ref: str | None,
    no_launch: bool,
) -> int:
    """Would this member get launches, and would they succeed?

    NAME is a member's in the federation, URL any member's public address, HOST an ssh destination of a member made by
    binderbox, whose firewall is then proved too. Launches a small repository with a token of the federation's page, and stops it again.
    Nothing has to be registered.

    \b
    binderbox federation check https://binder.example.org
    """
    session.start("federation check")
    session.host = member

    from binderbox.commands.federation.check import check_member
    from binderbox.federation.members.look import REF
    from binderbox.federation.members.render import render_check

    result = check_member(
        member,
        asked(federation, deploy_repo),
        session.progress,
        connection=None
        if "://" in member and not member.lower().startswith("ssh://")
        else session.connection(member),
        repo_url=repo or "",
        ref=ref or ("HEAD" if repo else REF),
        launch=not no_launch,
    )
    fields = {
        "host": result.target,
        "name": result.name,
        "url": result.url,
        "receives": result.receives,
        "ready": result.ready,
        "members": [asdict(result.standing)],
        "checks": [asdict(one) for one in result.checks],
    }
    bad = any(one.verdict == "fail" for one in result.checks) or not result.receives
    return session.answer(fields, lambda style: render_check(result, style), exit_code=SICK if bad else 0)
