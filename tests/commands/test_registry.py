"""What `registry status` and `registry prune` make of a node's answer."""

from __future__ import annotations

from typing import Any

import pytest

from binderbox.commands.registry import FIELDS, render
from binderbox.output.jsonlines import result_line
from tests.output.schemas import validate_output

SWEPT = {
    **FIELDS,
    "host": "host.example",
    "keep_days": 30.0,
    "max_bytes": 13_500_000_000,
    "images": 40,
    "size_bytes": 9_000_000_000,
    "forgotten": 3,
    "freed_bytes": 1_200_000_000,
    "why_forgotten": ["i-a:1: not launched for 31 days"],
    "swept": "2026-11-29T02:00:00Z",
}


@pytest.mark.parametrize(
    ("answer", "last"),
    [
        (
            SWEPT,
            "host.example: 40 images, 9.0 GB of 13.5 GB; forgot 3, 1.2 GB, of images not launched for 30 days; the last sweep was at 2026-11-29T02:00:00Z",
        ),
        (
            {**SWEPT, "dry": True, "swept": "", "max_bytes": 0},
            "host.example: 40 images, 9.0 GB; would forget 3, 1.2 GB, of images not launched for 30 days",
        ),
        ({**SWEPT, "why": "HTTP 503"}, "host.example: the registry could not be swept: HTTP 503"),
    ],
)
def test_the_sentence_that_counts_is_the_last(answer: dict[str, Any], last: str) -> None:
    assert render(answer).splitlines()[-1] == last


@pytest.mark.parametrize("command", ["registry status", "registry prune"])
def test_its_json_holds_to_the_schema(command: str) -> None:
    assert validate_output(result_line(command, SWEPT, 0), "registry")["images"] == 40
