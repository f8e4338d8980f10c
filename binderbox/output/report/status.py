"""A member's state on one screen."""

from __future__ import annotations

from binderbox.output.report.checks import check_line
from binderbox.output.report.drain import drained
from binderbox.output.report.style import MARKS, PLAIN, Style, columns
from binderbox.output.results import StatusResult


def render_status(status: StatusResult, style: Style = PLAIN) -> str:
    """One screen: parts, numbers against their limits, checks that do not hold, the verdict as the last line."""
    blocks = []
    if status.parts:
        blocks.append(
            "\n".join(
                f"  {style.paint(MARKS['pass' if part.ok else 'fail'], 'pass' if part.ok else 'fail')} {text}"
                for part, text in zip(
                    status.parts,
                    columns([(p.name, p.version, p.detail) for p in status.parts], "").splitlines(),
                    strict=True,
                )
            )
        )
    if status.gauges:
        blocks.append(
            columns([(gauge.name, _gauge(gauge.value, gauge.limit, gauge.unit)) for gauge in status.gauges])
        )
    bad = [check for check in status.checks if check.verdict in ("warn", "fail")]
    if bad:
        blocks.append("\n".join(check_line(check, style) for check in bad))
    if status.applied:
        blocks.append(f"config applied {status.applied}")
    if status.drain:
        blocks.append(drained(status.drain))
    kind = {"healthy": "pass", "degraded": "fail", "absent": "warn"}[status.verdict]
    words = {"absent": "nothing is installed"}.get(status.verdict, status.verdict)
    last = f"{status.host}: {style.paint(words, kind)}"
    blocks.append(f"{last} at {status.url}" if status.url else last)
    return "\n\n".join(blocks)


def _gauge(value: float, limit: float | None, unit: str) -> str:
    text = f"{value:g}" if limit is None else f"{value:g} of {limit:g}"
    return f"{text} {unit}".strip()
