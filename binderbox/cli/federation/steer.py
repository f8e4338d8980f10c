"""The command that steers a new member's traffic: ramp."""

from __future__ import annotations

from dataclasses import asdict

import click

from binderbox.cli import options
from binderbox.cli.federation.asked import asked, federation_option
from binderbox.cli.session import Session


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("steps", metavar="STEPS")
@options.option(
    "--deploy-repo", required=True, metavar="PATH|URL", help="The checkout of mybinder.org-deploy."
)
@federation_option
@options.common
@click.pass_obj
def ramp(session: Session, name: str, steps: str, deploy_repo: str, federation: str) -> int:
    """Say which weight is due for a new member, and write it.

    STEPS are rising weights. The next one is due when the member is healthy by the redirector's rules, enough of its
    launches worked, and its places would hold the larger share. Then the commit is written as `federation weight` does.

    \b
    binderbox federation ramp my-member 5,15,30,50 --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation ramp")

    from binderbox.federation.render import render_ramp
    from binderbox.federation_look import ramp as decide

    result = decide(name, steps, asked(federation, deploy_repo))
    return session.answer(asdict(result), lambda style: render_ramp(result, style))
