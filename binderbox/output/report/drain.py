"""A drain, or its end, as people read it."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style, count_of
from binderbox.output.results import Drained, DrainResult


def render_drain(result: DrainResult, style: Style = PLAIN) -> str:
    """Whether it is in rotation, what /health answers, and who is on it still."""
    left = result.left
    there = f"  on it: {count_of(left.sessions, 'session')}, {count_of(left.builds, 'build')}"
    ends = f"; the last session ends by {left.ends_by}" if left.ends_by else ""
    lines = [f"  /health answers {result.status}", there + ends]
    if result.drain:
        lines.insert(0, f"  {drained(result.drain)}")
    word = "drained" if result.drained else "in rotation as soon as the redirector looks again"
    already = "" if result.changed else ", as it was before"
    return "\n".join([*lines, f"{result.host}: {style.paint(word, 'pass')}{already}"])


def drained(drain: Drained) -> str:
    refused = "; launches are refused" if drain.closed else ""
    return f"drained since {drain.since or 'some time'} by {drain.who or 'somebody'}: {drain.reason}{refused}"
