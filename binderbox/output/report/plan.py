"""A plan as people read it."""

from __future__ import annotations

from binderbox.output.report.phases import counts
from binderbox.output.report.style import PLAIN, Style, columns, count_of, indented
from binderbox.output.results import PlanResult


def render_plan(plan: PlanResult, style: Style = PLAIN, *, diff: bool = False) -> str:
    """Every value with its reason and origin, then what would change, phase by phase."""
    blocks = []
    if plan.values:
        rows = [("value", "is", "from", "because")]
        rows += [
            (value.key, f"{_text(value.value)} {value.unit}".strip(), value.origin, value.reason)
            for value in plan.values
        ]
        blocks.append(columns(rows))
    if plan.config_diff:
        blocks.append(
            "The local config differs from the one applied on the host:\n" + indented(plan.config_diff, "  ")
        )
    blocks += [f"note: {note}" for note in plan.notes]
    if not plan.changed:
        blocks.append(f"{plan.host}: no changes")
        return "\n\n".join(blocks)
    if plan.phases:
        blocks.append(
            columns([(phase.title, counts(phase.changed, phase.unchanged)) for phase in plan.phases])
        )
    blocks.append(
        "Would change:\n" + "\n".join(f"  {style.paint('~', 'warn')} {name}" for name in plan.changed)
    )
    if diff and plan.diffs:
        blocks.append("\n".join(text.rstrip() for text in plan.diffs))
    blocks.append(f"{plan.host}: {count_of(len(plan.changed), 'operation')} would change something")
    return "\n\n".join(blocks)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)
