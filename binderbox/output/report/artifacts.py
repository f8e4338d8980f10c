"""The table of artifacts as people read it."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style, columns
from binderbox.output.results import ArtifactRow, ArtifactsResult

SHOWN_DIGITS = 12


def render_artifacts(result: ArtifactsResult, style: Style = PLAIN) -> str:
    rows = [("artifact", "version", "trusted because", "sha256", "size", "on the node")]
    rows += [_row(one) for one in result.artifacts]
    return columns(rows)


def _row(one: ArtifactRow) -> tuple[str, str, str, str, str, str]:
    by = f" by {one.stated_by}" if one.stated_by else ""
    size = f"{one.size_mb:.1f} MB" if one.size_mb is not None else ""
    trust = f"{one.trust}{by}" if one.trust else "not known yet"
    return one.name, one.version, trust, one.sha256[:SHOWN_DIGITS], size, "yes" if one.here else "no"
