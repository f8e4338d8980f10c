"""Who uses what, who else fills the disk, and how long it lasts."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from binderbox.parts.disk import usage
from binderbox.parts.disk.usage import BUILDKIT, DAY_S, IMAGES

GB = 1_000_000_000


def du(top: Path, *words: str) -> dict[str, int]:
    return usage.parse_du(
        subprocess.run(["du", "-xB1", *words, str(top)], capture_output=True, text=True, check=True).stdout
    )


def test_what_lies_inside_another_part_is_counted_once() -> None:
    """The real du says of a directory only what it has not said before."""
    places = usage.places("/data")
    paths = [path for paths in places.values() for path in paths]
    for inner in ("/data/objectstore", "/data/buildkit", "/data/hub"):
        assert paths.index(inner) < paths.index("/data")
    assert paths.index("/var/lib/rancher/k3s/agent/containerd") < paths.index("/var/lib/rancher/k3s")


def test_buildkits_layers_are_not_images() -> None:
    (path,) = usage.places("/data")[IMAGES]
    found = usage.by_part({path: 10 * GB, "/data/buildkit": 1 * GB}, "/data", 4 * GB)
    assert (found[IMAGES], found[BUILDKIT]) == (6 * GB, 5 * GB)
    assert usage.by_part({path: 1 * GB}, "/data", 4 * GB)[IMAGES] == 0


def test_who_else_fills_the_disk_is_named_as_deep_as_most_of_it_lies(tmp_path: Path) -> None:
    for path, mb in {
        "home/a/films/x": 9,
        "home/a/notes": 1,
        "home/b/y": 1,
        "srv/ours/z": 30,
        "srv/log": 2,
    }.items():
        file = tmp_path / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(os.urandom(mb << 20))
    top, ours = str(tmp_path), [str(tmp_path / "srv/ours")]
    sizes = du(tmp_path, "--max-depth=4")
    found = usage.largest(sizes, top, ours)
    assert [path for path, _ in found] == [f"{top}/home/a/films", f"{top}/srv"]
    assert found[1][1] < 3 << 20, "without what is ours"
    assert (12 << 20) < usage.others(sizes, top, ours) < (15 << 20)


def test_a_part_inside_a_part_is_taken_from_the_others_once() -> None:
    sizes = {"/": 100, "/a": 50, "/a/b": 30, "/c": 50}
    assert usage.others(sizes, "/", ["/a", "/a/b"]) == 50


def history(*gb: float, every_s: float = DAY_S) -> list[dict[str, object]]:
    return [{"at": 1e9 + number * every_s, "used": {"x": size * GB}} for number, size in enumerate(gb)]


@pytest.mark.parametrize(
    ("seen", "a_day"),
    [
        (history(1, 2, 3), 1 * GB),
        (history(3, 2.5), -0.5 * GB),
        (history(1), None),
        (history(1, 9, every_s=3600), None),  # an hour says nothing of a day
        (history(0, *([5.0] * 7), 12), 1 * GB),  # of the last week alone
    ],
)
def test_growth_is_of_the_last_week(seen: list[dict[str, object]], a_day: float | None) -> None:
    found = usage.growth(seen, "x", float(str(seen[-1]["at"])))
    assert found == (None if a_day is None else pytest.approx(a_day))
    assert usage.growth(seen, "y", 2e9) is None


@pytest.mark.parametrize(
    ("used", "ceiling", "a_day", "left"),
    [(8, 10, 0.5, 4), (8, 10, -1, None), (8, 10, 0, None), (8, None, 1, None), (12, 10, 1, 0), (8, 10, None, None)],
)  # fmt: skip
def test_days_left(used: float, ceiling: float | None, a_day: float | None, left: float | None) -> None:
    assert usage.days_left(used, ceiling, a_day) == left
