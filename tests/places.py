"""Where the checkout lies, and `shared` beside it: recorded answers and real files, absent for outside contributors."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
UPSTREAM = SHARED / "upstream"
