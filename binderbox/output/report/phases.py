"""Phases: as events while they run, each one line, and as a table at the end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from binderbox.output.report.style import PLAIN, Style, columns, seconds
from binderbox.output.results import PhaseResult


def render_phase(event: Mapping[str, Any], style: Style = PLAIN) -> str:
    """One progress event as one line."""
    kind = event["type"]
    if kind == "note":
        return f"     {event['text']}"
    if kind == "detail":
        return f"       {event['text']}"
    if kind == "waiting":
        last = f" (last event: {event['last_event']})" if event["last_event"] else ""
        return f"     waiting {seconds(event['seconds'])} for {event['object']}: {event['reason']}{last}"
    title = event["title"]
    if event["event"] == "started":
        return f"...  {title}"
    if event["event"] == "running":
        return f"     still: {title}, {seconds(event['seconds'])}"
    if event["event"] == "failed":
        return f"{style.paint('FAIL', 'fail')} {title}  {seconds(event['seconds'])}"
    told = counts(event["changed"], event["unchanged"])
    return f"{style.paint('ok', 'ok')}   {title}  {seconds(event['seconds'])}  ({told})"


def render_phases(phases: Iterable[PhaseResult]) -> str:
    return columns([(p.title, seconds(p.seconds), counts(p.changed, p.unchanged)) for p in phases])


def counts(changed: int, unchanged: int) -> str:
    return f"{changed} changed, {unchanged} unchanged"
