"""The list of secrets as people read it."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style, columns
from binderbox.output.results import SecretsResult


def render_secrets(result: SecretsResult, style: Style = PLAIN) -> str:
    """Names, whether they are there, and what for; never a value."""
    rows = [("secret", "origin", "is", "for")]
    rows += [(s.name, s.origin, "set" if s.present else "not set", s.purpose) for s in result.secrets]
    blocks = [columns(rows)] if result.secrets else []
    blocks += [f"{result.host}: {name} is set" for name in result.changed]
    return "\n".join(blocks)
