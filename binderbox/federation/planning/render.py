"""Plans and history as text for people. Pure."""

from __future__ import annotations

from binderbox.federation.planning.history import Changed
from binderbox.federation.planning.plan import FederationPlan
from binderbox.output.report.style import PLAIN, Style, columns


def render_history(found: tuple[Changed, ...], style: Style = PLAIN) -> str:
    """A row a change."""
    head = ("date", "commit", "what")
    rows = [(one.version.date, one.version.commit[:8], "; ".join(one.what)) for one in found]
    table = columns([head, *rows]).splitlines()
    return "\n".join([style.bold(table[0]), *table[1:]])


def render_plan(plan: FederationPlan, style: Style = PLAIN) -> str:
    """A table a federation, and what visitors would see, today's and the planned one below each other."""
    blocks = []
    for one in plan.scenarios:
        head = ("member", "weight", "quota", "share of launches", "sessions", "in rotation")
        rows = [
            (
                member.name,
                f"{member.weight:g}",
                "none" if member.quota is None else str(member.quota),
                f"{carried.share:.1%}",
                f"{carried.sessions:.0f}",
                f"{carried.in_rotation:.1%}",
            )
            for member, carried in zip(one.members, one.outlook.members, strict=True)
        ]
        table = columns([head, *rows]).splitlines()
        blocks.append(
            "\n".join(
                [
                    style.bold(f"{one.name}, with {plan.load:g} sessions at once"),
                    style.bold(table[0]),
                    *table[1:],
                    f"  launches that fail: {_part(one.outlook.errors_per_launch)}",
                    f"  a member leaves rotation {_from(one.first_out)}; visitors see errors {_from(one.first_errors)}",
                ]
            )
        )
    return "\n\n".join(blocks)


def _part(part: float) -> str:
    return f"{part:.1%}" if part >= 0.001 else "fewer than one in a thousand"


def _from(number: float) -> str:
    return (
        "with no load that is looked at"
        if number == float("inf")
        else f"from {number:.0f} sessions at once on"
    )
