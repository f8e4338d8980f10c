"""An uninstall as people read it."""

from __future__ import annotations

from binderbox.output.report.style import PLAIN, Style
from binderbox.output.results import UninstallResult


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
