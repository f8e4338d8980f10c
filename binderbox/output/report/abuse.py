"""What strangers' code tried, as people read it."""

from __future__ import annotations

from binderbox.output.report.style import MARKS, PLAIN, Style
from binderbox.output.results import AbuseResult


def render_abuse(result: AbuseResult, style: Style = PLAIN) -> str:
    """A row for each thing, what is wrong below it, and the sum of it all as the last line."""
    width = max(len(row.name) for row in result.rows)
    lines = []
    for row in result.rows:
        verdict = "fail" if row.fault else "pass"
        mark = style.paint(MARKS[verdict], verdict)
        both = row.notebook if row.notebook == row.build else f"{row.notebook}; in a build: {row.build}"
        lines.append(f"{mark} {row.name:<{width}}  {both}")
        lines += [f"     {row.fault}"] if row.fault else []
    good = sum(not row.fault for row in result.rows)
    return "\n".join([*lines, f"{result.host}: {good} of {len(result.rows)} as they must be"])
