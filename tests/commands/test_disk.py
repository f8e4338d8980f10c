"""What `disk` makes of what the node keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from binderbox.commands.disk import make_result
from binderbox.output.jsonlines import result_line
from binderbox.output.report.disk import WIDTH, bar, render_disk
from tests.output.schemas import validate_output

GB = 1_000_000_000
KEPT: dict[str, Any] = {
    "at": "2026-11-30T02:31:00Z",
    "measured": 1796004000.0,  # 2026-11-30T02:00:00Z
    "file_systems": [
        {
            "name": "images",
            "path": "/var/lib/rancher/k3s",
            "size_bytes": 100 * GB,
            "free_bytes": 40 * GB,
            "floors": {"cache": 20 * GB, "unused": 18 * GB, "registry": 17 * GB, "launches": 13 * GB},
        }
    ],
    "parts": [
        {"name": "images", "path": "/i", "used_bytes": 15 * GB, "ceiling_gb": 30.0, "growth_a_day": 1.5 * GB},
        {"name": "hub", "path": "/h", "used_bytes": 20_000_000, "ceiling_gb": None, "growth_a_day": None},
    ],
    "growth_a_day": {"/var/lib/rancher/k3s": 2.0 * GB},
    "refused": [],
    "did": [],
    "others": [],
    "asked": {"hits": 90, "misses": 10},
    "builds": {"good": 12, "failed": 1, "median_s": 31.0, "slowest_tenth_s": 200.5},
    "spool": {"waiting": 2},
    "why": "",
}


def test_days_are_left_until_something_gives_way() -> None:
    found = make_result("host.example", KEPT)
    (disk,), (images, hub) = found.file_systems, found.parts
    assert disk.days_left == pytest.approx((100 - 13 - 60) / 2)
    assert (images.days_left, hub.days_left) == (pytest.approx(10), None)
    assert found.hit_rate == 0.9


def test_its_json_holds_to_the_schema() -> None:
    nothing = KEPT | {
        "asked": {"hits": 0, "misses": 0},
        "builds": {"good": 0, "failed": 0, "median_s": None, "slowest_tenth_s": None},
    }
    for kept in (KEPT, nothing):
        said = validate_output(result_line("disk", make_result("host.example", kept), 0), "disk")
        assert said["launches"] in (100, 0)


def test_people_see_bars_and_the_sentence_that_counts_last() -> None:
    result = make_result("host.example", KEPT)
    text = render_disk(result)
    assert f"{bar(0.6)}  60.0 of 100.0 GB  40.0 GB free  +2.0 GB a day, 14 days left" in text
    assert f"{bar(0.5)}  15.0 of 30.0 GB  +1.5 GB a day, 10 days left" in text
    assert "90% of 100 launches in the last week found their image" in text
    assert "12 in the last day, and 1 that failed; half took 31 s, nine of ten 200.5 s" in text
    assert text.splitlines()[-1] == "host.example: the disk has room, measured 2026-11-30T02:00:00Z"
    short = replace(
        result, refused=("/data",), others=("/home/u/films: 38.0 GB, of u",), did=("could not: x",)
    )
    told = render_disk(short)
    assert "    /home/u/films: 38.0 GB, of u" in told
    assert told.splitlines()[-1].startswith("host.example: launches are refused for /data, ")


@pytest.mark.parametrize(("share", "filled"), [(0, 0), (0.001, 1), (0.5, WIDTH // 2), (1, WIDTH), (7, WIDTH)])
def test_a_bar_is_never_longer_and_anything_is_seen(share: float, filled: int) -> None:
    assert bar(share) == f"[{'#' * filled}{'.' * (WIDTH - filled)}]"
