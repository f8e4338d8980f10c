"""What gives way when a file system runs short, and in which order."""

from __future__ import annotations

from dataclasses import asdict

import pytest
from hypothesis import given
from hypothesis import strategies as st

from binderbox.decide.disk import DiskPlan, make_disk_plan
from binderbox.decide.facts import Disk
from binderbox.member.model import Member
from binderbox.parts.disk import watermarks
from binderbox.parts.disk.inputs import file_systems
from binderbox.parts.disk.watermarks import (
    CACHE,
    GB,
    LAUNCHES,
    ORDER,
    REGISTRY,
    UNUSED,
    FileSystem,
    missing,
    refused,
)

MEMBER = Member(domain="b.example.org")


def disks(size_gb: float = 30, **more: Disk) -> tuple[FileSystem, ...]:
    plan = make_disk_plan(MEMBER, size_gb, size_gb - 3, **more)  # type: ignore[arg-type]
    assert isinstance(plan, DiskPlan)
    return file_systems(plan, "/data")


ONE = disks()
TWO = disks(data=Disk(30, 29), node=Disk(20, 19))


def test_one_file_system_has_every_floor_and_several_have_their_own() -> None:
    assert [(one.name, sorted(one.floors_gb)) for one in ONE] == [("images", sorted((*ORDER, LAUNCHES)))]
    assert [(one.name, one.path, sorted(one.floors_gb)) for one in TWO] == [
        ("images", "/var/lib/rancher/k3s", sorted((CACHE, UNUSED, LAUNCHES))),
        ("data", "/data", sorted((REGISTRY, LAUNCHES))),
        ("kubelet", "/var/lib/kubelet", [LAUNCHES]),
    ]


def test_they_travel_as_data() -> None:
    assert watermarks.parse([asdict(one) for one in TWO]) == TWO


@given(free_gb=st.floats(0, 27))
def test_what_costs_users_least_goes_first(free_gb: float) -> None:
    free = {"images": round(free_gb * GB)}
    short = [missing(ONE, free, what) for what in (*ORDER, LAUNCHES)]
    assert short == sorted(short, reverse=True)
    gives = [bool(one) for one in short]
    assert gives == sorted(gives, reverse=True), "nothing goes while what comes before it would do"


def test_so_much_is_made_free_that_the_next_look_finds_room() -> None:
    (one,) = ONE
    free = round((one.floors_gb[CACHE] - 0.01) * GB)
    gone = missing(ONE, {"images": free}, CACHE)
    assert missing(ONE, {"images": free + gone}, CACHE) == 0
    assert gone > 0.2 * GB


def test_launches_come_back_only_with_room_for_whoever_comes() -> None:
    (one,) = ONE
    at = {"images": round(one.floors_gb[LAUNCHES] * GB)}
    assert refused(ONE, at, before=False) == ()
    assert refused(ONE, at, before=True) == ONE
    assert refused(ONE, {"images": at["images"] - 1}, before=False) == ONE
    assert refused(ONE, {"images": at["images"] + GB}, before=True) == ()


@pytest.mark.parametrize("short", ["images", "data", "kubelet"])
def test_each_file_system_by_itself_can_refuse_launches(short: str) -> None:
    free = {one.name: 20 * GB for one in TWO} | {short: GB // 10}
    assert [one.name for one in refused(TWO, free, before=False)] == [short]


def test_what_nobody_has_noted_yet_goes_last() -> None:
    used = {"i-old:1": 5.0, "i-older:1": 3.0}
    found = watermarks.idle_first(("r:5000/i-new:1", "r:5000/i-old:1", "r:5000/i-older:1"), used)
    assert found == ["r:5000/i-older:1", "r:5000/i-old:1", "r:5000/i-new:1"]
