"""A disk that runs short costs the builds that fill it, before it costs anybody else anything."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.parts.builder.door.guard import (
    INODES_SHARE,
    MB,
    SETTLE_S,
    Floor,
    Free,
    Grown,
    Guard,
    choose,
    floor,
    free_at,
)
from binderbox.parts.telling import Telling

from .conftest import make_config

GB = 1_000_000_000
PLENTY = 1 << 40
FLOOR = Floor(4 * GB)


def short_of_bytes(size_bytes: int = 3 * GB) -> Free:
    return Free(size_bytes, 1000, 1000)


STILL = Free(0, 0, 1000)
FILLING = Free(50 * MB, 5_000, 1000)


@pytest.mark.parametrize(
    ("builds", "lost", "worst"),
    [
        ([], FILLING, None),
        ([Grown("a", 1, GB, 10), Grown("b", 2, 3 * GB, 10)], FILLING, "b"),
        ([Grown("small-and-new", 9, 1, 1), Grown("large", 1, 3 * GB, 10)], FILLING, "large"),
        ([Grown("older", 1, GB, 10), Grown("newer", 2, GB, 10)], STILL, "newer"),
        ([Grown("older", 1, 0, 0, unseen=True), Grown("newer", 2, 0, 0, unseen=True)], FILLING, "newer"),
        ([Grown("unseen", 1, 0, 0, unseen=True), Grown("sleeps-in-a-step", 2, 0, 0)], FILLING, "unseen"),
        ([Grown("unseen", 1, 0, 0, unseen=True)], STILL, None),
        ([Grown("honest", 2, 0, 0)], FILLING, None),
        ([Grown("older", 1, 0, 0), Grown("honest", 2, MB, 9)], FILLING, None),
        ([Grown("honest", 2, 70 * MB, 9), Grown("ended", 0, 2 * GB, 1, gone=True)], FILLING, "ended"),
    ],
)
def test_the_largest_grower_ends_and_the_newest_of_those_alike(
    builds: list[Grown], lost: Free, worst: str | None
) -> None:
    found = choose(builds, short_of_bytes(), FLOOR, lost)
    assert (found.key if found else None) == worst


def test_where_inodes_are_short_files_count() -> None:
    free = Free(100 * GB, 10, 1000)
    assert not FLOOR.holds(free)
    builds = [Grown("bytes", 2, 9 * GB, 5), Grown("files", 1, 1, 300_000)]
    found = choose(builds, free, FLOOR, STILL)
    assert found
    assert found.key == "files"


def test_a_file_system_that_makes_inodes_as_needed_is_never_short_of_them() -> None:
    assert FLOOR.holds(Free(100 * GB, 0, 0))


@given(st.floats(0, 5e9))
def test_the_floor_holds_what_is_written_until_the_kubelet_looks_within_its_bounds(rate: float) -> None:
    found = floor(14_000, 5_000, 16_000, rate)
    assert 14 * GB <= found.size_bytes <= 16 * GB
    assert found.size_bytes >= min(16 * GB, 5 * GB + 20 * rate) - 1


@dataclass
class Node:
    """A disk, its builds, and what was done about them."""

    free: Free
    builds: list[Grown] = field(default_factory=list)
    ended: list[tuple[str, str]] = field(default_factory=list)
    room: list[str] = field(default_factory=list)
    restarted: list[str] = field(default_factory=list)
    waiting: int = 0
    asked: int = 0

    def end(self, key: str, why: str) -> None:
        self.ended.append((key, why))
        self.builds = [one for one in self.builds if one.key != key]

    def grown(self) -> list[Grown]:
        self.asked += 1
        return self.builds

    def make_room(self, why: str) -> int:
        self.room.append(why)
        return self.waiting


def guard(node: Node, state: Path) -> Guard:
    config = replace(
        make_config(state), free_floor_mb=4000, free_ceiling_mb=5000, images_free_mb=6000, eviction_mb=1000
    )
    return Guard(config, lambda: node.free, node.grown, node.end, node.make_room, node.restarted.append)


def test_builds_go_on_while_there_is_room(state: Path) -> None:
    node = Node(Free(100 * GB, 900, 1000), [Grown("a", 1, GB, 10)])
    watching = guard(node, state)
    for second in range(20):
        watching.step(second)
    assert (node.ended, node.room, node.asked) == ([], [], 0)


def test_who_writes_is_measured_before_the_floor_is_reached_and_then_nobody_walks(state: Path) -> None:
    """A walk through what eight writers have written took three seconds, and they write 0.9 GB in each."""
    node = Node(Free(7 * GB, 900, 1000), [Grown("a", 1, 14 * GB, 10)])
    watching = guard(node, state)
    watching.measure(lambda: 0.0)
    assert node.asked == 1
    node.free = short_of_bytes()
    watching.step(1)
    assert ([key for key, _ in node.ended], node.asked) == (["a"], 1)
    node.free = short_of_bytes(1_000 * MB)
    node.builds = [Grown("b", 2, GB, 10)]
    watching.step(2)
    assert ([key for key, _ in node.ended], node.asked) == (["a", "b"], 2), "the next is found anew"


def test_figures_of_a_build_that_was_ended_meanwhile_are_not_taken(state: Path) -> None:
    node = Node(short_of_bytes(), [Grown("a", 1, 2 * GB, 10)])
    watching = guard(node, state)

    def ends_while_it_is_measured() -> list[Grown]:
        found, node.builds = node.builds, [Grown("b", 2, GB, 10)]
        watching._ends += 1
        return found

    watching._grown = ends_while_it_is_measured
    watching.measure(lambda: 0.0)
    watching._grown = node.grown
    watching.step(0)
    assert [key for key, _ in node.ended] == ["b"]


def test_what_little_the_disk_loses_in_an_instant_is_no_rate(state: Path) -> None:
    node = Node(Free(20 * GB, 900, 1000))
    watching = guard(node, state)
    for at in range(8):
        node.free = Free(20 * GB - (at % 2) * GB, 900, 1000)
        watching.step(at / 4)
    assert watching.floor.size_bytes < 5000 * MB


def test_one_build_ends_at_a_time_and_its_visitor_reads_how_much_it_wrote(state: Path) -> None:
    node = Node(short_of_bytes(), [Grown("a", 1, 2 * GB, 10), Grown("b", 2, GB, 10)])
    watching = guard(node, state)
    watching.step(0)
    watching.step(1)
    assert [key for key, _ in node.ended] == ["a"], "what it wrote is being taken away"
    assert "2.0 GB in 10 files" in node.ended[0][1]
    node.free = short_of_bytes(3_500 * MB)
    watching.step(SETTLE_S + 1)
    assert [key for key, _ in node.ended] == ["a"], "the disk still gets back what was written"
    watching.step(SETTLE_S + 2)
    assert [key for key, _ in node.ended] == ["a", "b"]


def test_while_the_disk_collapses_nobody_is_waited_for(state: Path) -> None:
    node = Node(short_of_bytes(), [Grown("a", 1, 2 * GB, 10), Grown("b", 2, GB, 10)])
    watching = guard(node, state)
    watching.step(0)
    node.free = short_of_bytes(1_900 * MB)
    watching.step(1)
    assert [key for key, _ in node.ended] == ["a", "b"]


def test_what_buildkit_goes_on_with_for_a_build_that_has_ended_costs_buildkit_a_restart(state: Path) -> None:
    """It unpacks an archive to its end, whoever left; and an honest build beside is not the one to end."""
    honest = Grown("honest", 2, 70 * MB, 10)
    node = Node(short_of_bytes(), [Grown("bomb", 1, 2 * GB, 10), honest])
    watching = guard(node, state)
    watching.step(0)
    node.builds = [honest, Grown("bomb", 0, 900 * MB, 1, gone=True)]
    node.free = short_of_bytes(2_900 * MB)
    watching.step(2)
    assert ([key for key, _ in node.ended], len(node.restarted)) == (["bomb"], 1)
    watching.step(30)
    assert len(node.restarted) == 1, "not again at once"
    watching.step(70)
    assert len(node.restarted) == 2


def test_what_buildkit_keeps_of_builds_that_have_ended_is_got_back_by_a_restart(state: Path) -> None:
    node = Node(short_of_bytes(), [Grown("honest", 2, MB, 10), Grown("bomb", 0, 0, 0, gone=True)])
    watching = guard(node, state)
    watching.step(100)
    assert (node.ended, len(node.restarted)) == ([], 1)


def test_a_disk_that_fills_quickly_has_a_higher_floor(state: Path) -> None:
    node = Node(Free(50 * GB, 900, 1000), [Grown("a", 1, GB, 10)])
    watching = guard(node, state)
    watching.step(0)
    assert watching.floor.size_bytes == 4 * GB
    node.free = Free(49_800 * MB, 900, 1000)
    watching.step(1)
    assert watching.floor.size_bytes == 5 * GB, "20 s of 200 MB and the kubelet's own GB"


def test_images_that_wait_for_their_push_go_first_a_quarter_in_a_minute(state: Path) -> None:
    node = Node(Free(5_500 * MB, 900, 1000), [Grown("a", 1, GB, 10)], waiting=3)
    watching = guard(node, state)
    for second in range(70):
        watching.step(second)
        watching.room(second)
    assert len(node.room) == 2
    assert node.ended == []


def test_what_is_free_is_read_as_a_user_without_rights_would_have_it(tmp_path: Path) -> None:
    found = free_at(str(tmp_path / "not" / "yet"))
    assert found.inodes_in_all == free_at(str(tmp_path)).inodes_in_all
    assert found.size_bytes > 0
    assert found.inodes_in_all == 0 or found.inodes <= found.inodes_in_all
    assert 0 < INODES_SHARE < 1


def test_what_was_given_up_is_told_once_a_minute_and_outlives_a_restart(state: Path) -> None:
    telling = Telling(state / "told.json", state / "audit.log", "build door")
    for number in range(3):
        telling.tell("build-ended", f"reason {number}")
    telling.tell("image-let-go", "full")
    lines = [json.loads(line) for line in (state / "audit.log").read_text().splitlines()]
    assert [(one["event"], one["why"], one["command"]) for one in lines] == [
        ("build-ended", "reason 0", "build door"),
        ("image-let-go", "full", "build door"),
    ]
    again = Telling(state / "told.json", state / "audit.log", "build door").recent()
    assert [(one["what"], one["why"], one["times"]) for one in again] == [
        ("build-ended", "reason 2", 3),
        ("image-let-go", "full", 1),
    ]
    assert (state / "audit.log").stat().st_mode & 0o777 == 0o600


def test_a_list_of_what_was_told_that_is_torn_is_begun_anew(state: Path) -> None:
    (state / "told.json").write_text('[{"at": ')
    assert Telling(state / "told.json", state / "audit.log", "build door").recent() == []
