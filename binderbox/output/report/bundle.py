"""A bundle as people read it."""

from __future__ import annotations

from pathlib import Path

from binderbox.output.report.style import PLAIN, Style, columns, count_of
from binderbox.output.results import BundleResult

MB = 1_000_000


def render_bundle(result: BundleResult, style: Style = PLAIN, versions: Path | None = None) -> str:
    """Each file and why it is believed; the last line is how a host is installed from it, with a site's own `versions`."""
    rows = [("artifact", "version", "trust", "MB", "file")]
    rows += [
        (one.name, one.version, one.trust, f"{one.size_bytes / MB:.1f}", one.file) for one in result.files
    ]
    state = "made" if result.changed else "whole, nothing changed"
    lock = f" --bundle-sha256 {result.lock_sha256}" if result.needs_lock else ""
    pins = f" --versions {versions}" if versions else ""
    return "\n\n".join(
        [
            columns(rows),
            f"{result.directory}: {state}; {count_of(len(result.files), 'file')}, {result.size_bytes / MB:.0f} MB",
            f"Install from it:  binderbox install HOST --bundle {result.directory}{pins}{lock}",
        ]
    )
