"""Results, events and errors as text for people. Pure: plain values in, text out, no trailing newline.

`Style(colour=True)` adds terminal colours; the words are the same without them, so that a log can be searched.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from binderbox.drain import Drain, DrainResult
from binderbox.output.jsonlines import error_line, event_line, result_line
from binderbox.output.results import (
    CheckReport,
    InstallResult,
    LaunchResult,
    PhaseResult,
    PlanResult,
    SecretsResult,
    StatusResult,
    UninstallResult,
)

if TYPE_CHECKING:
    from binderbox.errors import BinderboxError
    from binderbox.output.results import CheckResult

__all__ = [
    "Style",
    "error_line",
    "event_line",
    "render_checks",
    "render_drain",
    "render_error",
    "render_install",
    "render_launch",
    "render_phase",
    "render_plan",
    "render_secrets",
    "render_short",
    "render_status",
    "render_uninstall",
    "result_line",
]

COLOURS = {"pass": "32", "ok": "32", "warn": "33", "fail": "31", "FAIL": "31", "skip": "2", "error": "31"}
UNCUT = 10_000  # columns of a terminal that nobody has
MARKS = {"pass": "ok  ", "warn": "warn", "fail": "FAIL", "skip": "skip"}


@dataclass(frozen=True)
class Style:
    """How text may look; `colour` only where somebody sees it and NO_COLOR is not set."""

    colour: bool = False

    def paint(self, word: str, kind: str) -> str:
        return f"\x1b[{COLOURS[kind]}m{word}\x1b[0m" if self.colour else word

    def bold(self, text: str) -> str:
        return f"\x1b[1m{text}\x1b[0m" if self.colour else text


PLAIN = Style()


def seconds(value: float) -> str:
    """3.42 -> "3.4 s", 204 -> "3 min 24 s", 7380 -> "2 h 3 min"."""
    if value < 60:
        return f"{value:.1f} s"
    whole = round(value)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"


def columns(rows: Iterable[Sequence[str]], indent: str = "  ") -> str:
    """Rows as left-aligned columns, two spaces apart; none is cut, however narrow the terminal."""
    from rich.console import Console  # only who prints a table waits for it
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*map(Text, row))
    console = Console(width=UNCUT, color_system=None)
    with console.capture() as captured:
        console.print(table)
    return indented(captured.get(), indent)


def indented(text: str, indent: str) -> str:
    return "\n".join(f"{indent}{line}".rstrip() for line in text.rstrip().splitlines())


def render_checks(report: CheckReport, style: Style = PLAIN) -> str:
    """Categories as headings, one line a check; under one that does not hold what is needed and the fix."""
    lines: list[str] = []
    category = None
    for check in report.checks:
        if check.category != category:
            category = check.category
            lines += ["", style.bold(category)] if lines else [style.bold(category)]
        lines.append(_check_line(check, style))
    return "\n".join([*lines, "", count_checks(report.host, report.checks)])


def _check_line(check: CheckResult, style: Style) -> str:
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
            columns([(phase.title, _counts(phase.changed, phase.unchanged)) for phase in plan.phases])
        )
    blocks.append(
        "Would change:\n" + "\n".join(f"  {style.paint('~', 'warn')} {name}" for name in plan.changed)
    )
    if diff and plan.diffs:
        blocks.append("\n".join(text.rstrip() for text in plan.diffs))
    blocks.append(f"{plan.host}: {_number(len(plan.changed), 'operation')} would change something")
    return "\n\n".join(blocks)


def render_install(result: InstallResult, style: Style = PLAIN) -> str:
    """Phases with times, the proof, and the address as the last line."""
    blocks = [render_phases(result.phases)] if result.phases else []
    blocks += [render_launch(launch, style) for launch in result.launches]
    warnings = [check for check in result.checks if check.verdict == "warn"]
    if warnings:
        blocks.append("\n".join(_check_line(check, style) for check in warnings))
    changed = _number(len(result.changed), "change") if result.changed else "no change"
    blocks.append(f"{result.host}: {changed}; the member answers at {result.url}")
    return "\n\n".join(blocks)


def render_launch(launch: LaunchResult, style: Style = PLAIN) -> str:
    """How the image came about, seconds by step, and the notebook's address as the last line."""
    image = "built" if launch.built else ("pulled" if launch.pulled else "was there")
    steps = ", ".join(f"{name} {seconds(value)}" for name, value in launch.seconds)
    return "\n".join(
        [
            f"launched {launch.repository} at {launch.ref}",
            f"  image  {launch.image} ({image})",
            f"  times  {steps}",
            f"  {style.bold(launch.url)}",
        ]
    )


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
        blocks.append("\n".join(_check_line(check, style) for check in bad))
    if status.applied:
        blocks.append(f"config applied {status.applied}")
    if status.drain:
        blocks.append(_drained(status.drain))
    kind = {"healthy": "pass", "degraded": "fail", "absent": "warn"}[status.verdict]
    words = {"absent": "nothing is installed"}.get(status.verdict, status.verdict)
    last = f"{status.host}: {style.paint(words, kind)}"
    blocks.append(f"{last} at {status.url}" if status.url else last)
    return "\n\n".join(blocks)


def render_drain(result: DrainResult, style: Style = PLAIN) -> str:
    """Whether it is in rotation, what /health answers, and who is on it still."""
    left = result.left
    there = f"  on it: {_number(left.sessions, 'session')}, {_number(left.builds, 'build')}"
    ends = f"; the last session ends by {left.ends_by}" if left.ends_by else ""
    lines = [f"  /health answers {result.status}", there + ends]
    if result.drain:
        lines.insert(0, f"  {_drained(result.drain)}")
    word = "drained" if result.drained else "in rotation as soon as the redirector looks again"
    already = "" if result.changed else ", as it was before"
    return "\n".join([*lines, f"{result.host}: {style.paint(word, 'pass')}{already}"])


def _drained(drain: Drain) -> str:
    refused = "; launches are refused" if drain.closed else ""
    return f"drained since {drain.since or 'some time'} by {drain.who or 'somebody'}: {drain.reason}{refused}"


def render_uninstall(result: UninstallResult, style: Style = PLAIN) -> str:
    """What went, what stays, what should not be there any more."""
    blocks = []
    for title, names in (
        ("Removed:", result.removed),
        ("Kept:", result.kept),
        ("Left over:", result.leftovers),
    ):
        if names:
            blocks.append(title + "\n" + "\n".join(f"  {name}" for name in names))
    blocks.append(f"{result.host}: leftovers {len(result.leftovers)}")
    return "\n\n".join(blocks)


def render_secrets(result: SecretsResult, style: Style = PLAIN) -> str:
    """Names, whether they are there, and what for; never a value."""
    rows = [("secret", "origin", "is", "for")]
    rows += [(s.name, s.origin, "set" if s.present else "not set", s.purpose) for s in result.secrets]
    blocks = [columns(rows)] if result.secrets else []
    blocks += [f"{result.host}: {name} is set" for name in result.changed]
    return "\n".join(blocks)


def render_error(error: BinderboxError, style: Style = PLAIN, *, log: str = "", cause: bool = True) -> str:
    """The four parts, in this order: code and what was tried, likely cause, next command, full log.

    `cause=False` where a table of checks above has told it already.
    """
    lines = [f"{style.paint('error', 'error')} {error.code}: {error.message}"]
    log = str(error.log or log)
    told = error.cause if cause else ""
    for name, text in (("cause:", told), ("next: ", error.remedy), ("log:  ", log)):
        if text:
            first, *rest = text.rstrip().splitlines()
            lines.append("\n".join([f"  {name} {first}", *(f"         {line}".rstrip() for line in rest)]))
    return "\n".join(lines)


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
    counts = _counts(event["changed"], event["unchanged"])
    return f"{style.paint('ok', 'ok')}   {title}  {seconds(event['seconds'])}  ({counts})"


def render_phases(phases: Iterable[PhaseResult]) -> str:
    return columns([(p.title, seconds(p.seconds), _counts(p.changed, p.unchanged)) for p in phases])


def _counts(changed: int, unchanged: int) -> str:
    return f"{changed} changed, {unchanged} unchanged"


def _number(count: int, noun: str) -> str:
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, (list, tuple)):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


def _gauge(value: float, limit: float | None, unit: str) -> str:
    text = f"{value:g}" if limit is None else f"{value:g} of {limit:g}"
    return f"{text} {unit}".strip()
