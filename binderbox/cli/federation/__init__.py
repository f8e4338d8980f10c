"""The commands of `binderbox federation`."""

from __future__ import annotations

import click

from binderbox.cli.lazy import Lazy
from binderbox.cli.options import common

COMMANDS = {
    "status": (
        "binderbox.cli.federation.look",
        "Show every member: in rotation or why not, shares, free places.",
    ),
    "check": ("binderbox.cli.federation.look", "Would this member get launches, and would they succeed?"),
    "join": ("binderbox.cli.federation.change", "Write the change that registers a member, as one commit."),
    "leave": ("binderbox.cli.federation.change", "Write the change that takes a member out again."),
    "weight": (
        "binderbox.cli.federation.change",
        "Write the change of a member's weight, and show its effect.",
    ),
    "drain": ("binderbox.cli.federation.change", "Write the commit that sets a member's weight to 0."),
    "prime": ("binderbox.cli.federation.steer", "Write the change that makes another member the prime."),
    "ramp": ("binderbox.cli.federation.steer", "Say which weight is due for a new member, and write it."),
    "plan": (
        "binderbox.cli.federation.planning",
        "Foretell what members would carry, with quotas that are not there yet.",
    ),
    "history": ("binderbox.cli.federation.planning", "Show who had which weight when."),
    "follow": (
        "binderbox.cli.federation.follow",
        "Show what the prime runs, what the node runs, and the change.",
    ),
}


@click.group(cls=Lazy, table=COMMANDS, no_args_is_help=True)
@common
def federation() -> None:
    """Look at the federation, join it, and steer its traffic.

    Nothing is ever pushed.

    \b
    binderbox federation status
    binderbox federation check https://binder.example.org
    """
