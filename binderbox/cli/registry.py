"""The commands about the member's registry: what it holds, and what it forgets."""

from __future__ import annotations

import click

from binderbox.cli import options
from binderbox.cli.session import Session


@click.group()
def registry() -> None:
    """See what the member's registry holds, and have it forget."""


@registry.command("status")
@options.host_argument
@options.common
@click.pass_obj
def status(session: Session, host: str) -> int:
    """Show how much the registry holds, and what the last sweep took away.

    The node forgets by itself, once a day: images that nobody launched for `registry_keep_days`, and above nine tenths of
    the ceiling the longest idle of the others.

    \b
    binderbox registry status host.example
    """
    session.start("registry status", host)

    from binderbox.commands.registry import render, status_of

    answer = status_of(session.connection(host))
    return session.answer(answer, lambda _: render(answer), exit_code=5 if answer["why"] else 0)


@registry.command("prune")
@options.host_argument
@options.option("--days", type=click.IntRange(1, 3650), help="Forget what nobody launched for so many days.")
@options.option("--dry-run", is_flag=True, help="Only say what would go, and how many bytes.")
@options.yes
@options.common
@click.pass_obj
def prune(session: Session, host: str, days: int | None, dry_run: bool, yes: bool) -> int:
    """Have the registry forget now. There is no undo: an image that goes is built again when somebody launches it.

    \b
    binderbox registry prune host.example --days 14 --dry-run
    """
    session.start("registry prune", host)

    from binderbox.commands.registry import PruneRequest, render
    from binderbox.commands.registry import prune as prune_registry

    request = PruneRequest(session.connection(host), days, dry_run)
    answer = prune_registry(request, session.progress, session.confirm(yes))
    return session.answer(answer, lambda _: render(answer), exit_code=5 if answer["why"] else 0)
