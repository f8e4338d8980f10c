"""Checks as people read them: on a terminal, and in a chat."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from binderbox.output.report.style import MARKS, PLAIN, Style, indented
from binderbox.output.results import CheckReport, CheckResult


def render_checks(report: CheckReport, style: Style = PLAIN) -> str:
    """Categories as headings, one line a check; under one that does not hold what is needed and the fix."""
    lines: list[str] = []
    category = None
    for check in report.checks:
        if check.category != category:
            category = check.category
            lines += ["", style.bold(category)] if lines else [style.bold(category)]
        lines.append(check_line(check, style))
    return "\n".join([*lines, "", count_checks(report.host, report.checks)])


def check_line(check: CheckResult, style: Style) -> str:
    measured = f": {check.measured}" if check.measured else ""
    line = f"  {style.paint(MARKS[check.verdict], check.verdict)} {check.id} {check.claim}{measured}"
    if check.verdict in ("warn", "fail"):
        if check.needed:
            line += "\n" + indented(f"needed: {check.needed}", " " * 7)
        if check.fix:
            line += "\n" + indented(f"fix:    {check.fix}", " " * 7)
    return line


def count_checks(host: str, checks: Iterable[CheckResult]) -> str:
    """e.g. "host.example: 21 pass, 1 warn, 2 fail"."""
    counts = Counter(check.verdict for check in checks)
    told = [f"{counts[word]} {word}" for word in ("pass", "warn", "fail", "skip") if counts[word]]
    return f"{host}: {', '.join(told) or 'no checks'}"


def render_short(report: CheckReport) -> str:
    """For a chat: what does not hold, one line each, and the count."""
    bad = [check for check in report.checks if check.verdict in ("warn", "fail")]
    lines = [f"{check.id} {check.verdict}: {check.claim}: {check.measured}" for check in bad]
    return "\n".join([*lines, count_checks(report.host, report.checks)])
