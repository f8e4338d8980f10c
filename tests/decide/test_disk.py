"""One budget for the whole disk: sums, order of defences, and a plan that stays what it was."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from binderbox.decide.disk import (
    AUDIT_MB,
    CONTAINER_LOG_FILES,
    MIN_DATA_GB,
    MIN_USABLE_GB,
    DiskPlan,
    DiskTooSmall,
    container_log_mib,
    journal_mb,
    make_disk_plan,
)
from binderbox.decide.facts import Disk
from binderbox.member.model import Member

MEMBER = Member(domain="b.example.org")


def plan(disk_gb: float, free_gb: float, **more: Any) -> DiskPlan:
    found = make_disk_plan(MEMBER, disk_gb, free_gb, **more)
    assert isinstance(found, DiskPlan)
    return found


@pytest.mark.parametrize(
    ("disk", "free", "images", "buildkit", "objectstore", "high", "low", "eviction"),
    [
        (50, 46, 12.5, 12.5, 7.8, 82, 69, 2.3),
        (80, 76, 21.3, 21.3, 13.5, 82, 67, 3.8),
        (250, 240, 69.9, 69.9, 44.2, 82, 66, 12.0),
        (500, 490, 144.0, 144.0, 91.0, 81, 66, 20.0),
        (700, 690, 204.8, 204.8, 129.3, 81, 65, 20.0),
        (270, 79, 22.3, 22.3, 14.0, 94, 90, 3.9),  # others use it too, and Kubernetes counts their data
    ],
)
def test_budgets_of_disks_people_have(
    disk: float,
    free: float,
    images: float,
    buildkit: float,
    objectstore: float,
    high: int,
    low: int,
    eviction: float,
) -> None:
    found = plan(disk, free)
    sizes = (found.images_gb.value, found.buildkit_max_gb.value, found.objectstore_max_gb.value)
    assert sizes == (images, buildkit, objectstore)
    assert (found.image_gc_high_percent.value, found.image_gc_low_percent.value) == (high, low)
    assert found.eviction_hard_gb.value == eviction


@given(disk=st.floats(20, 4000), taken=st.floats(0, 0.95))
def test_the_ceilings_never_fill_the_disk(disk: float, taken: float) -> None:
    free = disk * (1 - taken)
    found = make_disk_plan(MEMBER, disk, free)
    if free < MIN_USABLE_GB - 1e-6:  # sizes are counted to 0.1 GB, with room for rounding of floats
        assert isinstance(found, DiskTooSmall)
        assert found.needed_gb > found.found_gb
        return
    assume(isinstance(found, DiskPlan))
    assert isinstance(found, DiskPlan)
    assert found.ceilings_gb <= 0.8 * found.usable_gb.value + 1e-6
    assert found.usable_gb.value <= free + 0.1
    assert all(value.value > 0 for value in found.values if value.key != "disk.other_gb")
    # BuildKit's cache goes first, then images, those of the registry, those that wait for their push, builds, new launches, and
    # pods last: each while there is still room for the next.
    floors = (
        found.cache_floor_gb.value,
        found.unused_floor_gb.value,
        found.registry_floor_gb.value,
        found.pins_floor_gb.value,
        found.builds_floor_max_gb.value,
        found.builds_floor_gb.value,
        found.launches_floor_gb.value,
        found.buildkit_min_free_gb.value,
        found.eviction_hard_gb.value,
    )
    assert list(floors) == sorted(set(floors), reverse=True)
    left_at_high = disk * (
        1 - found.image_gc_high_percent.value / 100
    )  # the kubelet's own mark, in whole percent
    assert found.pins_floor_gb.value < left_at_high
    assert found.unused_floor_gb.value <= left_at_high + 0.1
    assert 0 < found.image_gc_low_percent.value < found.image_gc_high_percent.value < 100
    assert found.buildkit_reserved_gb.value < found.buildkit_max_gb.value


@given(disk=st.floats(25, 4000), taken=st.floats(0, 0.5), used=st.floats(0, 1))
def test_images_are_not_evicted_for_what_others_took(disk: float, taken: float, used: float) -> None:
    """With every other part at its ceiling, images still have room before Kubernetes starts to delete them."""
    found = make_disk_plan(MEMBER, disk, disk * (1 - taken))
    if isinstance(found, DiskTooSmall):
        return
    others = found.other_gb.value + found.ceilings_gb - found.images_gb.value
    assert disk * found.image_gc_high_percent.value / 100 >= others + found.images_gb.value - disk / 100 - 0.1
    assert disk * found.image_gc_low_percent.value / 100 >= others - disk / 100 - 0.1


@given(disk=st.floats(25, 2000), more=st.floats(0, 2000))
def test_a_larger_disk_is_never_a_smaller_plan(disk: float, more: float) -> None:
    small, large = plan(disk, disk), plan(disk + more, disk + more)
    for key in ("images_gb", "buildkit_max_gb", "objectstore_max_gb", "logs_gb", "eviction_hard_gb"):
        assert getattr(large, key).value >= getattr(small, key).value


@given(disk=st.floats(60, 2000), grown=st.floats(0, 0.7), drift=st.floats(-0.09, 0.09))
def test_a_second_run_plans_the_same(disk: float, grown: float, drift: float) -> None:
    """Our own data has grown, and somebody's log too."""
    first = plan(disk, disk * 0.9)
    ours = disk * 0.8 * grown
    free = disk * 0.9 - ours - disk * drift
    second = plan(disk, free, ours_gb=ours, recorded_other_gb=first.other_gb.value)
    assert [value.value for value in second.values] == [value.value for value in first.values]


def test_a_disk_that_others_fill_for_good_is_planned_anew() -> None:
    first = plan(500, 480)
    later = plan(500, 380, recorded_other_gb=first.other_gb.value)
    assert (first.other_gb.value, later.other_gb.value) == (20, 120)
    assert later.buildkit_max_gb.value < first.buildkit_max_gb.value


def test_too_small_says_what_is_needed_and_found() -> None:
    found = make_disk_plan(MEMBER, 20, 15)
    assert found == DiskTooSmall(20.0, 15.0, "of 20 GB, 5 GB are taken")


def test_a_ceiling_of_the_config_counts_in_the_budget() -> None:
    member = Member(domain="b.example.org", disk={"buildkit_gb": 50, "images_gb": 10})  # type: ignore[arg-type]
    found = make_disk_plan(member, 200, 190)
    assert isinstance(found, DiskPlan)
    assert (found.buildkit_max_gb.value, found.buildkit_max_gb.origin) == (50, "config")
    assert found.buildkit_reserved_gb.value == 12.5


def test_ceilings_that_do_not_fit_are_refused_with_the_sum() -> None:
    """A 50 GB disk with a 300 GB setting pruned nothing and stood at 100 %: mybinder.org-deploy ed91228a."""
    member = Member(domain="b.example.org", disk={"buildkit_gb": 300})  # type: ignore[arg-type]
    found = make_disk_plan(member, 50, 46)
    assert isinstance(found, DiskTooSmall)
    assert found.reason == "the ceilings of the config add up to 324.2 GB, and 80 % of 46.0 GB is the most"
    assert found.needed_gb > 400


@pytest.mark.parametrize(
    ("images_disk", "data_disk", "images", "buildkit", "objectstore", "eviction"),
    [
        (40, 500, 12.5, 12.5, 397.8, 1.8),  # the set-up that evicted users below 20 GB of a root of 40
        (250, 250, 94.4, 94.4, 197.8, 12.3),
        (30, 30, 8.6, 8.6, 21.8, 1.3),
    ],
)
def test_two_disks_have_a_budget_each(
    images_disk: float, data_disk: float, images: float, buildkit: float, objectstore: float, eviction: float
) -> None:
    found = plan(images_disk, images_disk - 4, data=Disk(data_disk, data_disk - 1.5))
    sizes = (found.images_gb.value, found.buildkit_max_gb.value, found.objectstore_max_gb.value)
    assert (sizes, found.eviction_hard_gb.value) == ((images, buildkit, objectstore), eviction)


@given(
    st.floats(25, 2000), st.floats(0, 0.5), st.floats(4, 4000), st.floats(0, 0.9), st.floats(1, 500), st.floats(0, 0.9)
)  # fmt: skip
def test_the_ceilings_fill_none_of_the_disks(
    size: float, taken: float, data: float, data_taken: float, node: float, node_taken: float
) -> None:
    of_data, of_node = Disk(data, data * (1 - data_taken)), Disk(node, node * (1 - node_taken))
    found = make_disk_plan(MEMBER, size, size * (1 - taken), data=of_data, node=of_node)
    if isinstance(found, DiskTooSmall):
        assert of_data.free_gb < MIN_DATA_GB + 0.2 or size * (1 - taken) < MIN_USABLE_GB + 0.2
        return
    assert found.ceilings_gb <= 0.8 * found.usable_gb.value + 1e-6
    assert found.data_usable_gb is not None
    assert 0 < found.objectstore_max_gb.value <= 0.8 * found.data_usable_gb.value
    assert found.node_eviction_gb is not None
    assert found.node_eviction_gb.value <= max(0.5, 0.05 * of_node.free_gb + 0.1)
    keys = [value.key for value in found.values]
    assert len(keys) == len(set(keys))


def test_a_second_run_plans_the_same_on_two_disks() -> None:
    first = plan(100, 95, data=Disk(200, 190), node=Disk(20, 15))
    assert first.data_other_gb is not None
    assert first.node_other_gb is not None
    second = plan(
        100,
        40,
        ours_gb=54.0,
        recorded_other_gb=first.other_gb.value,
        data=Disk(200, 80, 109.0, first.data_other_gb.value),
        node=Disk(20, 14.5, 0.0, first.node_other_gb.value),
    )
    assert [value.value for value in second.values] == [value.value for value in first.values]


def test_a_data_disk_that_is_too_small_is_named() -> None:
    member = Member(domain="b.example.org", data_dir="/srv/binder")
    found = make_disk_plan(member, 100, 95, data=Disk(10, 5))
    assert found == DiskTooSmall(8.0, 5.0, "of 10 GB on the disk of /srv/binder, 5 GB are taken")
    over = Member(domain="b.example.org", disk={"objectstore_gb": 90})  # type: ignore[arg-type]
    told = make_disk_plan(over, 100, 95, data=Disk(100, 95))
    assert isinstance(told, DiskTooSmall)
    assert told.needed_gb == 113.8


@pytest.mark.parametrize(("logs_gb", "pods"), [(0.5, 20), (2.0, 60), (10.0, 500), (10.0, 40)])
def test_logs_of_all_kinds_have_room_together(logs_gb: float, pods: int) -> None:
    each = container_log_mib(logs_gb, pods)
    assert 1 <= each <= 10
    taken = pods * CONTAINER_LOG_FILES * each * (1 << 20) / 1e9 + journal_mb(logs_gb) / 1000 + AUDIT_MB / 1000
    assert taken <= logs_gb + 1e-6
