"""Whether the registry forgets, as the node's last sweep has it."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.checks.core import run_checks
from binderbox.parts.checks import of
from tests.checks.fakes import FakeProbe

WELL = {"images": 12, "size_bytes": 3_400_000_000, "forgotten": 2, "why": ""}


@pytest.mark.parametrize(
    ("swept", "verdict", "says"),
    [
        (None, "skip", "not swept yet"),
        (WELL, "pass", "12 images, 3.4 GB; 2 forgotten last"),
        ({"why": "the object store: GET /binderbox/: HTTP 503"}, "fail", "HTTP 503"),
    ],
)
def test_a_sweep_that_failed_is_told(swept: dict[str, Any] | None, verdict: str, says: str) -> None:
    (found,) = [one for one in run_checks(of("retention"), FakeProbe(swept=swept)) if one.id == "BBX-S01"]
    assert (found.verdict, says in found.measured) == (verdict, True), found
