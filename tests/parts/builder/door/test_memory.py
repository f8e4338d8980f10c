"""Which build ends where all together come to their ceiling of memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from binderbox.parts.builder.door.memory import SETTLE_S, Memory, Used, guilty, held
from binderbox.parts.builder.door.steps import PREFIX, mark

from .test_steps import bundle

GB = 1_000_000_000
HONEST, OTHER = "a" * 32, "b" * 32


@pytest.mark.parametrize(
    ("sizes_gb", "slots", "ends"),
    [
        ((1.0, 2.7), 2, 1),  # the honest one's single process may be the largest of all
        ((2.7, 1.0), 2, 0),
        ((1.9, 1.9), 2, None),  # nobody is beyond its share, and the kernel has its own ceiling
        ((3.9,), 2, None),  # who is alone may have all of it
        ((1.0, 2.0), 2, None),  # there is room
        ((0.9, 0.9, 0.9, 1.2), 4, 3),
        ((1.3, 1.3, 1.3), 2, None),  # of three, none has more than a third
    ],
)
def test_the_one_beyond_its_share(sizes_gb: tuple[float, ...], slots: int, ends: int | None) -> None:
    builds = [Used(str(at), round(size * GB)) for at, size in enumerate(sizes_gb)]
    found = guilty(builds, 4 * GB, slots)
    assert (found and int(found.key)) == ends


V2 = "anon 1000\nfile 500200\nkernel 5\nshmem 200\nslab_reclaimable 300\n"
V1 = (
    "cache 500\nrss 700\nshmem 150\ninactive_file 4\ntotal_cache 500200\ntotal_rss 1000\n"
    "total_rss_huge 9\ntotal_shmem 200\n"
)


@pytest.mark.parametrize(
    ("stat", "charged", "size"),
    [
        (V2, 501_800, 1500),  # page tables and the like, 300, and 200 of a tmpfs, beside what is anonymous
        (V1, 501_500, 1500),
        (V2, 0, 0),
        ("", 700, 700),
    ],
)
def test_what_may_be_given_back_under_pressure_does_not_count(stat: str, charged: int, size: int) -> None:
    assert held(stat, charged) == size


class Node:
    """Two steps of each of two builds, in a slice of cgroup v2."""

    def __init__(self, home: Path) -> None:
        self.home, self.ended = home, list[tuple[str, str]]()
        self.memory = Memory(
            [home / "slice"], home / "tasks", 4000, 2, lambda key, why: self.ended.append((key, why))
        )

    def step(self, id: str, key: str, size_gb: float) -> None:
        bundle(self.home / "tasks", id, f"no_proxy={mark(key)}")
        scope = self.home / "slice" / f"{PREFIX}-{id}.scope"
        scope.mkdir(parents=True, exist_ok=True)
        (scope / "memory.stat").write_text(f"anon {round(size_gb * GB)}\nfile {9 * GB}\n")
        (scope / "memory.current").write_text(f"{round(size_gb * GB) + 9 * GB}\n")


def test_a_builds_steps_count_together_and_it_is_ended_once(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.step("one", HONEST, 1.0)
    node.step("two", OTHER, 1.4)
    node.memory.step(100.0)
    assert node.ended == []
    node.step("three", OTHER, 1.4)
    node.memory.step(101.0)
    node.memory.step(101.1)
    ((key, why),) = node.ended
    assert key == OTHER
    assert "more than its share: 2.8 of 4.0 GB" in why
    node.memory.step(101.0 + SETTLE_S)
    assert len(node.ended) == 2, "it has not ended by then"


def test_steps_of_nobody_end_nobody(tmp_path: Path) -> None:
    node = Node(tmp_path)
    node.step("one", HONEST, 1.0)
    scope = tmp_path / "slice" / f"{PREFIX}-gone.scope"
    scope.mkdir()
    (scope / "memory.stat").write_text(f"anon {3 * GB}\n")
    (scope / "memory.usage_in_bytes").write_text(f"{3 * GB}\n")
    node.memory.step(100.0)
    assert node.ended == []
