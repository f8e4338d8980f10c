"""An install as people read it."""

from __future__ import annotations

from binderbox.output.report.checks import check_line
from binderbox.output.report.launch import render_launch
from binderbox.output.report.phases import render_phases
from binderbox.output.report.style import PLAIN, Style, count_of
from binderbox.output.results import InstallResult


def render_install(result: InstallResult, style: Style = PLAIN) -> str:
    """Phases with times, the proof, and the address as the last line."""
    blocks = [render_phases(result.phases)] if result.phases else []
    blocks += [render_launch(launch, style) for launch in result.launches]
    warnings = [check for check in result.checks if check.verdict == "warn"]
    if warnings:
        blocks.append("\n".join(check_line(check, style) for check in warnings))
    changed = count_of(len(result.changed), "change") if result.changed else "no change"
    blocks.append(f"{result.host}: {changed}; the member answers at {result.url}")
    return "\n\n".join(blocks)
