"""The commands that steer: ramp, for a new member's traffic, and prime."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from binderbox.cli import options
from binderbox.cli.federation.asked import asked, federation_option
from binderbox.cli.federation.change import place_of, place_options
from binderbox.cli.session import Session

NOT_YET = 5


@click.command()
@click.argument("name", metavar="NAME")
@click.argument("steps", metavar="STEPS")
@options.option(
    "--deploy-repo",
    required=True,
    metavar="PATH|URL",
    help="The checkout of mybinder.org-deploy that gets a branch with one commit.",
)
@options.option(
    "--checkout",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Where a URL is cloned to.  [default: ./mybinder.org-deploy]",
)
@options.option("--dry-run", is_flag=True, help="Only say which step is due; write nothing.")
@federation_option
@options.common
@click.pass_obj
def ramp(
    session: Session,
    /,
    name: str,
    steps: str,
    deploy_repo: str,
    checkout: Path | None,
    dry_run: bool,
    federation: str,
) -> int:
    """Say which weight is due for a new member, and write it.

    STEPS are rising weights. The next one is due when the member is well by the redirector's rules, enough of its
    launches with this weight worked, and its places would hold the larger share. Then the commit is written as by
    `federation weight`. The checkout remembers from which launches on a weight is in use. Exit code 5 says "not yet".

    \b
    binderbox federation ramp my-member 5,15,30,50 --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation ramp")

    from binderbox.commands.federation.change import weight
    from binderbox.commands.federation.change_report import render_edited
    from binderbox.commands.federation.ramp import ramp as decide
    from binderbox.commands.federation.writing import Place
    from binderbox.federation.members.render import render_ramp

    place = Place(deploy_repo, checkout, federation, write=not dry_run)
    asked(federation, None)
    result = decide(name, steps, place)
    edited = (
        None if result.due is None else weight(name, f"{result.due:g}", "; ".join(result.measured), place)
    )
    written = {
        key: getattr(edited, key, empty)
        for key, empty in (("changed", False), ("checkout", ""), ("branch", ""), ("commit", ""), ("diff", ""))
    }
    return session.answer(
        asdict(result) | written,
        lambda style: "\n\n".join(
            [render_ramp(result, style), *([render_edited(edited, style)] if edited is not None else [])]
        ),
        exit_code=0 if result.done or result.due is not None else NOT_YET,
    )


@click.command()
@click.argument("name", metavar="NAME")
@options.option(
    "--weight", multiple=True, metavar="NAME=N", help="Set a weight in the same change. Repeatable."
)
@options.option("--why", default="", metavar="TEXT", help="The reason, for the commit's message.")
@place_options
@options.common
@click.pass_obj
def prime(session: Session, /, name: str, weight: tuple[str, ...], why: str, **given: Any) -> int:
    """Write the change that makes another member the prime.

    Two lines of config/prod.yaml, as one commit on a new branch. Refuses a candidate that is not well, has other versions
    than the prime, or no weight, and whatever would stop the redirector. Shown is who drops out until it follows.

    \b
    binderbox federation prime my-member --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation prime")

    from binderbox.commands.federation.change_report import edited_fields, render_edited
    from binderbox.commands.federation.prime import prime as change
    from binderbox.errors import UsageError

    place = place_of(**given)
    if not place.source:
        raise UsageError(
            "which members have prime: true is in the deployment repository alone",
            remedy=f"binderbox federation prime {name} --deploy-repo PATH",
        )
    edited = change(name, weight, why, place)
    return session.answer(edited_fields(edited), lambda style: render_edited(edited, style), exit_code=0)
