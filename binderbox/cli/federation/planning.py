"""The commands for a federation that is not there yet, and for the one that was: plan, history."""

from __future__ import annotations

from dataclasses import asdict
from math import inf
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from binderbox.cli import options
from binderbox.cli.federation.asked import asked, deploy_repo_option, federation_option
from binderbox.cli.session import Session

if TYPE_CHECKING:
    from binderbox.federation.planning.plan import Scenario

PLOT = options.option(
    "--plot",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Draw it, too: a .png or .svg. Needs the extra binderbox[plots].",
)


@click.command()
@options.option(
    "--quota",
    multiple=True,
    required=True,
    metavar="NAME=N",
    help="Pods of a member, new or of today. Repeatable.",
)
@options.option(
    "--weight", multiple=True, metavar="NAME=N", help="A weight.  [default: one that fits, for new members]"
)
@options.option("--load", type=float, required=True, metavar="N", help="Sessions at once, in all.")
@options.option(
    "--session-h",
    type=float,
    default=1.0,
    show_default=True,
    metavar="H",
    help="How long a session is, on average.",
)
@options.option("--no-ask", is_flag=True, help="Plan with the given members alone, without today's.")
@PLOT
@federation_option
@deploy_repo_option
@options.common
@click.pass_obj
def plan(
    session: Session,
    /,
    quota: tuple[str, ...],
    weight: tuple[str, ...],
    load: float,
    session_h: float,
    no_ask: bool,
    plot: Path | None,
    federation: str,
    deploy_repo: str | None,
) -> int:
    """Foretell what members would carry, with quotas that are not there yet.

    Today's federation, and with the given quotas: shares of launches, how often each is in rotation, and from which load on
    visitors see errors. By the redirector's rules and Erlang's loss formula; nothing is written.

    \b
    binderbox federation plan --quota our-box=120 --load 400
    """
    session.start("federation plan")

    from binderbox.commands.federation.planning import PlanRequest
    from binderbox.commands.federation.planning import plan as foretell
    from binderbox.federation.planning.render import render_plan

    where = None if no_ask else asked(federation, deploy_repo)
    found = foretell(PlanRequest(quota, weight, load, session_h, where, plot))
    fields = {
        "scenarios": [_scenario_fields(one) for one in found.plan.scenarios],
        "load": load,
        "notes": list(found.notes),
    }
    shown = [f"note: {note}" for note in found.notes] + ([f"drawn: {plot}"] if plot else [])
    return session.answer(
        fields, lambda style: "\n\n".join([*shown, render_plan(found.plan, style)]), exit_code=0
    )


def _scenario_fields(scenario: Scenario) -> dict[str, Any]:
    """JSON has no infinity: null is "never"."""
    reached = {"first_out": scenario.first_out, "first_errors": scenario.first_errors}
    return asdict(scenario) | {name: None if at == inf else at for name, at in reached.items()}


@click.command()
@options.option(
    "--deploy-repo",
    required=True,
    metavar="PATH|URL",
    help="A checkout of mybinder.org-deploy with its history.",
)
@options.option("--since", default="", metavar="YYYY-MM-DD", help="Leave out what was before.")
@PLOT
@options.common
@click.pass_obj
def history(session: Session, deploy_repo: str, since: str, plot: Path | None) -> int:
    """Show who had which weight when.

    From the log of the deployment repository: a line for each commit that changed the members.

    \b
    binderbox federation history --deploy-repo ./mybinder.org-deploy --since 2025-01-01
    """
    session.start("federation history")

    from binderbox.commands.federation.planning import history as read
    from binderbox.federation.planning.render import render_history

    found = read(deploy_repo, since, plot)
    fields = {
        "changes": [
            {"date": one.version.date, "commit": one.version.commit, "what": list(one.what)} for one in found
        ]
    }
    shown = [f"drawn: {plot}"] if plot else []
    return session.answer(
        fields,
        lambda style: "\n\n".join(
            [render_history(found, style) if found else "no change of the members in this time", *shown]
        ),
        exit_code=0,
    )
