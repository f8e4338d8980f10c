"""Whether the registry forgets, as the node's last sweep has it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from binderbox.checks.core import run_checks
from binderbox.parts.checks import of
from tests.checks.fakes import FakeProbe

WELL = {"images": 12, "size_bytes": 3_400_000_000, "forgotten": 2, "why": ""}


def swept_ago(hours: float) -> dict[str, Any]:
    at = datetime.now(UTC) - timedelta(hours=hours)
    return {**WELL, "swept": at.strftime("%Y-%m-%dT%H:%M:%SZ")}


@pytest.mark.parametrize(
    ("swept", "verdict", "says"),
    [
        (None, "skip", "not swept yet"),
        (WELL, "skip", "not swept yet"),
        (swept_ago(1), "pass", "12 images, 3.4 GB; 2 forgotten last"),
        (swept_ago(47), "pass", "12 images, 3.4 GB; 2 forgotten last"),
        (swept_ago(50), "fail", "the last sweep was 50 hours ago"),
        ({"why": "the object store: GET /binderbox/: HTTP 503"}, "fail", "HTTP 503"),
    ],
)
def test_a_sweep_that_failed_is_told(swept: dict[str, Any] | None, verdict: str, says: str) -> None:
    (found,) = [one for one in run_checks(of("retention"), FakeProbe(swept=swept)) if one.id == "BBX-S01"]
    assert (found.verdict, says in found.measured) == (verdict, True), found
