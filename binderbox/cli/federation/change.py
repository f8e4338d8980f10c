"""The commands that write a change of the deployment repository: join, leave, weight, drain. Nothing is ever pushed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from binderbox.cli import options
from binderbox.cli.federation.asked import federation_option
from binderbox.cli.session import Session

if TYPE_CHECKING:
    from binderbox.commands.federation.writing import Edited, Place

F = TypeVar("F", bound=Callable[..., Any])
NOT_READY = 5


def place_options(function: F) -> F:
    """--deploy-repo, --checkout, --dry-run, --no-ask, --body and --federation."""
    for decorate in reversed(
        (
            options.option(
                "--deploy-repo",
                default="",
                metavar="PATH|URL",
                help="The checkout of mybinder.org-deploy that gets a branch with one commit. Without it nothing is "
                "written.",
            ),
            options.option(
                "--checkout",
                type=click.Path(file_okay=False, path_type=Path),
                metavar="DIR",
                help="Where a URL is cloned to.  [default: ./mybinder.org-deploy]",
            ),
            options.option("--dry-run", is_flag=True, help="Show the change and its effect; write nothing."),
            options.option(
                "--no-ask",
                is_flag=True,
                help="Ask no member for its health and quota; capacities are unknown then.",
            ),
            options.option(
                "--body",
                type=click.Path(dir_okay=False, path_type=Path),
                metavar="FILE",
                help="Write the text of the pull request there, too.",
            ),
            federation_option,
        )
    ):
        function = decorate(function)
    return function


def place_of(
    deploy_repo: str, checkout: Path | None, dry_run: bool, no_ask: bool, federation: str, body: Path | None
) -> Place:
    from binderbox.cli.federation.asked import asked
    from binderbox.commands.federation.writing import Place

    asked(federation, None)
    place = Place(deploy_repo, checkout, federation, write=not dry_run, ask=not no_ask, body=body)
    place.check_body()
    return place


def _answer(session: Session, edited: Edited) -> int:
    from binderbox.commands.federation.change_report import edited_fields, render_edited

    return session.answer(edited_fields(edited), lambda style: render_edited(edited, style), exit_code=0)


# a weight such as -5 is told what is wrong with it, and is not taken for an option
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("name", metavar="NAME")
@click.argument("weight_", metavar="N")
@options.option("--why", default="", metavar="TEXT", help="The reason, for the commit's message.")
@place_options
@options.common
@click.pass_obj
def weight(session: Session, /, name: str, weight_: str, why: str, **place: Any) -> int:
    """Write the change of a member's weight, and show its effect.

    One line of config/prod.yaml, as one commit on a new branch. Shown are the shares of launches before and after, next
    to the shares of capacity. Refuses what would stop the redirector.

    \b
    binderbox federation weight my-member 30 --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation weight")

    from binderbox.commands.federation.change import weight as change

    return _answer(session, change(name, weight_, why, place_of(**place)))


@click.command()
@click.argument("name", metavar="NAME")
@options.option("--why", default="", metavar="TEXT", help="The reason, for the commit's message.")
@place_options
@options.common
@click.pass_obj
def drain(session: Session, /, name: str, why: str, **place: Any) -> int:
    """Write the commit that sets a member's weight to 0.

    It works when it is deployed. `binderbox drain HOST` takes the member out at once.

    \b
    binderbox federation drain my-member --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation drain")

    from binderbox.commands.federation.change import drain as change

    return _answer(session, change(name, why, place_of(**place)))


@click.command()
@click.argument("name", metavar="NAME")
@options.option("--sponsor-url", default="", metavar="URL", help="Take the thanks to this address out too.")
@place_options
@options.common
@click.pass_obj
def leave(session: Session, /, name: str, sponsor_url: str, **place: Any) -> int:
    """Write the change that takes a member out again.

    The exact reverse of `federation join`, as one commit on a new branch. For a member that the repository itself deploys,
    what is left to do by hand is listed.

    \b
    binderbox federation leave my-member --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation leave")

    from binderbox.commands.federation.change import leave as change

    return _answer(session, change(name, sponsor_url, place_of(**place)))


@click.command()
@click.argument("member", metavar="HOST|URL")
@options.option(
    "--name", default="", metavar="NAME", help="Its name in the federation.  [default: from its address]"
)
@options.option("--run-by", default="", metavar="TEXT", help="Who runs it.")
@options.option("--where", default="", metavar="TEXT", help="Where it stands.")
@options.option(
    "--contact", default="", metavar="URL|MAIL", help="The page or mail address that reaches its operators."
)
@options.option("--sponsor", default="", metavar="TEXT", help="Whom mybinder.org's banner thanks for it.")
@options.option("--sponsor-url", default="", metavar="URL", help="Where the thanks lead.")
@options.option("--weight", default="5", show_default=True, metavar="N", help="The weight to start with.")
@place_options
@options.common
@click.pass_obj
def join(
    session: Session,
    /,
    member: str,
    name: str,
    run_by: str,
    where: str,
    contact: str,
    sponsor: str,
    sponsor_url: str,
    weight: str,
    **place: Any,
) -> int:
    """Write the change that registers a member, as one commit.

    The node stays its volunteer's and is reached by its address. The branch holds the redirector's entry, the monitoring
    target, the list of members and the thanks. Shown are the pull request's text, what operators hand over, and a text to
    post for those who may not open one. Exit code 5 says that `federation check` does not pass yet.

    \b
    binderbox federation join host.example --deploy-repo ./mybinder.org-deploy
    """
    session.start("federation join")
    session.host = member

    from binderbox.commands.federation.change_report import joined_fields, render_joined
    from binderbox.commands.federation.joining import JoinRequest
    from binderbox.commands.federation.joining import join as change

    by_address = member.lower().startswith(("https://", "http://"))
    connection = None if by_address else session.connection(member)
    request = JoinRequest(member, connection, name, run_by, where, contact, sponsor, sponsor_url, weight)
    joined = change(request, place_of(**place), session.progress)
    return session.answer(
        joined_fields(joined),
        lambda style: render_joined(joined, style),
        exit_code=NOT_READY if joined.ready is False else 0,
    )
