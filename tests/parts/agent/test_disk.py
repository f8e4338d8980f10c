"""The disk's job on a node: what it takes, in which order, what it never takes, and what it says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.checks.core import run_checks
from binderbox.decide.drain import Drain, parse_record, render_record
from binderbox.member.model import Member
from binderbox.parts.agent.jobs import containerd, disk, filesystems, measuring, refusing, telling
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.jobs.running import CommandFailed
from binderbox.parts.agent.units import make_inputs
from binderbox.parts.checks import of
from binderbox.parts.disk.watermarks import CACHE, GB, LAUNCHES, REGISTRY, UNUSED
from tests.checks.fakes import FakeProbe
from tests.parts.agent.test_travels import ALLOWED, DISK, FACTS

CONFIG = parse_config(make_inputs(Member(domain="b.example.org"), FACTS, ALLOWED, "b:1", disk=DISK).config)
(ONLY,) = CONFIG.file_systems
FLOORS = ONLY.floors_gb


@dataclass
class Machine:
    """A node with so much free, BuildKit's cache of its own, and images of 1 GB each."""

    free_gb: float
    cache_gb: float = 0.0
    images: list[str] = field(default_factory=list)
    built_lately: set[str] = field(default_factory=set)
    did: list[str] = field(default_factory=list)
    broken: bool = False
    inodes: float | None = 0.5  # the share that is free
    held_gb: float = 0.0  # of images that were removed, which BuildKit's cache still holds

    def prune(self, short_bytes: int) -> int:
        if self.broken:
            raise CommandFailed("buildctl du: it is being restarted")
        gone = min(self.cache_gb, short_bytes / GB)
        if gone:
            self.did.append(CACHE)
        self.cache_gb, self.free_gb = self.cache_gb - gone, self.free_gb + gone
        return round(gone * GB)

    def remove(self, image: str) -> None:
        """What was built lately is BuildKit's, too, and is free only when that gives it up."""
        self.did.append(image)
        self.images.remove(image)
        if image in self.built_lately:
            self.held_gb += 1.0
        else:
            self.free_gb += 1.0

    def prune_shared(self, most_gb: float) -> None:
        if self.broken:
            raise CommandFailed("buildctl du: it is being restarted")
        gone = min(self.held_gb, most_gb)
        self.held_gb, self.free_gb = self.held_gb - gone, self.free_gb + gone


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Machine:
    names = (
        "DISK_STATE",
        "DISK_HISTORY",
        "RETENTION_MEMORY",
        "RETENTION_NOW",
        "AUDIT_FILE",
        "DRAIN_FILE",
        "METRICS_FILE",
    )
    for name in (*names, "DRAIN_ROUTES_FILE", "INGRESS_ROUTES"):
        monkeypatch.setattr(layout, name, str(tmp_path / name.lower()))
    Path(layout.INGRESS_ROUTES).mkdir()
    here = Machine(free_gb=90.0)
    sized = lambda path: (round(here.free_gb * GB), 100 * GB)  # noqa: E731
    for module in (disk, measuring, filesystems):
        monkeypatch.setattr(module, "sized", sized)
    monkeypatch.setattr(filesystems, "inodes", lambda path: here.inodes)
    monkeypatch.setattr(measuring, "parts", lambda config, now: {})
    monkeypatch.setattr(measuring, "_du", lambda words, timeout_s: "".join(
        f"{size * GB}\t{path}\n" for path, size in {"/": 60, "/home": 40, "/home/u": 39, "/home/u/films": 38}.items()
    ))  # fmt: skip
    monkeypatch.setattr(measuring, "mount_of", lambda path: "/")
    monkeypatch.setattr(containerd, "prune_cache", here.prune)
    monkeypatch.setattr(containerd, "prune_oldest", lambda: here.prune_shared(1))
    monkeypatch.setattr(containerd, "prune_all", lambda: here.prune_shared(99))
    monkeypatch.setattr(containerd, "unused_images", lambda: list(here.images))
    monkeypatch.setattr(containerd, "remove", here.remove)
    monkeypatch.setattr(disk, "command", lambda words: here.did.append(words[-1]))
    return here


def state() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(layout.DISK_STATE).read_text())
    return found


def audit() -> list[str]:
    try:
        return [json.loads(line)["event"] for line in Path(layout.AUDIT_FILE).read_text().splitlines()]
    except FileNotFoundError:
        return []


def test_a_look_says_when_it_was(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    for when in ("2026-11-30T02:00:00Z", "2026-11-30T02:01:00Z"):
        monkeypatch.setattr(telling, "now", lambda when=when: when)
        disk.run(CONFIG)
        assert state()["at"] == when


def test_with_room_nothing_is_touched_and_nothing_told(machine: Machine) -> None:
    assert disk.run(CONFIG)
    assert (machine.did, audit(), state()["refused"]) == ([], [], [])
    assert "binderbox_disk_launches_refused 0.0" in Path(layout.METRICS_FILE).read_text()


def test_the_cache_goes_first_and_no_more_of_it_than_is_short(machine: Machine) -> None:
    machine.free_gb, machine.cache_gb, machine.images = FLOORS[CACHE] - 1, 10.0, ["r/i-a:1"]
    assert disk.run(CONFIG)
    assert machine.did == [CACHE]
    assert 7 < machine.cache_gb < 9
    assert state()["did"] == ["BuildKit's cache gave up 2.0 GB"]
    assert audit() == ["made-room"]


def test_then_images_that_nobody_uses_until_it_is_enough(machine: Machine) -> None:
    machine.free_gb, machine.cache_gb = FLOORS[UNUSED] - 2, 0.5
    machine.images = [f"r/i-{n}:1" for n in range(9)]
    assert disk.run(CONFIG)
    assert machine.did == [CACHE, "r/i-0:1", "r/i-1:1", "r/i-2:1"]
    assert len(state()["did"]) == 2


def test_an_image_that_was_built_lately_is_free_only_with_buildkits_cache_of_it(machine: Machine) -> None:
    machine.free_gb, machine.images = FLOORS[UNUSED] - 1, ["r/i-a:1", "r/i-b:1", "r/i-c:1"]
    machine.built_lately = set(machine.images)
    assert disk.run(CONFIG)
    assert machine.did == ["r/i-a:1", "r/i-b:1"]
    assert machine.free_gb > FLOORS[UNUSED]


def test_what_buildkit_holds_of_images_that_are_long_gone_goes_before_launches_are_refused(
    machine: Machine,
) -> None:
    machine.free_gb, machine.held_gb = FLOORS[LAUNCHES] - 1, 20.0
    assert disk.run(CONFIG)
    assert state()["did"][0].startswith(
        "0 images that nobody used were removed, with the cache of them: 20.0 GB"
    )


def test_then_the_registry_is_asked_once_in_half_an_hour(machine: Machine) -> None:
    machine.free_gb = FLOORS[REGISTRY] - 1
    assert disk.run(CONFIG, now=1e9)
    asked = json.loads(Path(layout.RETENTION_NOW).read_text())
    assert 1 * GB < asked["free_bytes"] < 3 * GB
    Path(layout.RETENTION_NOW).unlink()  # it has begun
    assert disk.run(CONFIG, now=1e9 + 60)
    assert machine.did == [layout.RETENTION_SERVICE]
    assert disk.run(CONFIG, now=1e9 + 1801)
    assert len(machine.did) == 2


def test_last_of_all_launches_are_refused_and_let_in_again_with_room(machine: Machine) -> None:
    machine.free_gb = FLOORS[LAUNCHES] - 0.1
    assert not disk.run(CONFIG)
    record = parse_record(Path(layout.DRAIN_FILE).read_text())
    assert (record.closed, record.by_node) == (True, True)
    routes = Path(layout.DRAIN_ROUTES_FILE)
    assert "b.example.org" in routes.read_text()
    assert routes.stat().st_mode & 0o044 == 0o044, "the ingress is not root"
    assert Path(layout.DRAIN_FILE).stat().st_mode & 0o077 == 0, "it holds a key"
    routes.unlink()  # an install that began before
    machine.free_gb = FLOORS[LAUNCHES] + 0.5
    assert not disk.run(CONFIG), "not for a few bytes"
    assert routes.exists()
    assert parse_record(Path(layout.DRAIN_FILE).read_text()) == record, "since then, and with the same key"
    machine.free_gb = 90
    assert disk.run(CONFIG)
    assert not routes.exists()
    assert not Path(layout.DRAIN_FILE).exists()
    assert audit().count("alert") == 2, "one that launches are refused, one of whose files fill it"
    assert audit()[-1] == "end"


def test_a_drain_of_somebodys_stays_as_it_is(machine: Machine) -> None:
    theirs = render_record(Drain("a new disk", "somebody", "2026-01-01T00:00:00+00:00"))
    Path(layout.DRAIN_FILE).write_text(theirs)
    for free_gb in (FLOORS[LAUNCHES] - 1, 90):
        machine.free_gb = free_gb
        disk.run(CONFIG)
        assert Path(layout.DRAIN_FILE).read_text() == theirs
        assert not Path(layout.DRAIN_ROUTES_FILE).exists()


def test_before_an_install_has_come_to_the_ingress_nothing_is_refused(machine: Machine) -> None:
    Path(layout.INGRESS_ROUTES).rmdir()
    machine.free_gb = 1
    assert not disk.run(CONFIG)
    assert not Path(layout.DRAIN_FILE).exists()


def test_whose_files_fill_the_disk_is_said_and_they_stay(machine: Machine) -> None:
    machine.free_gb = FLOORS[LAUNCHES] - 1
    disk.run(CONFIG)
    (said,) = state()["others"]
    assert (said["path"], said["size_bytes"]) == ("/home/u/films", 38 * GB)
    assert "/home/u/films (38.0 GB, of" in state()["why"]
    (check,) = [one for one in run_checks(of("retention"), FakeProbe(looked=state())) if one.id == "BBX-S02"]
    assert check.verdict == "fail"
    assert "launches are refused" in check.measured
    assert "remove what is not the member's" in check.fix


def test_inodes_that_are_short_count_as_bytes_do(machine: Machine) -> None:
    """Images of a hundred thousand small files fill a file system that has half of its bytes free."""
    machine.free_gb, machine.inodes, machine.cache_gb = 50, 0.085, 3.0
    assert disk.run(CONFIG)
    assert machine.did == [CACHE]
    machine.inodes = 0.05
    assert not disk.run(CONFIG)
    assert state()["why"].startswith(f"launches are refused: 5.0% of the inodes are free at {ONLY.path}")
    assert state()["file_systems"][0]["free_bytes"] > 50 * GB
    machine.inodes = None  # made as needed, as btrfs has them
    assert disk.run(CONFIG)


@pytest.mark.parametrize("text", ["", "{", "[]", "null"])
def test_what_it_keeps_may_be_lost(machine: Machine, text: str) -> None:
    Path(layout.DISK_STATE).write_text(text)
    assert disk.run(CONFIG)
    assert state()["refused"] == []


def test_a_step_that_fails_is_told_and_the_next_is_tried(machine: Machine) -> None:
    machine.broken, machine.free_gb = True, FLOORS[REGISTRY] - 0.5
    assert disk.run(CONFIG)
    assert machine.did == [layout.RETENTION_SERVICE]
    assert state()["did"][0] == "could not: buildctl du: it is being restarted"
    (check,) = [one for one in run_checks(of("retention"), FakeProbe(looked=state())) if one.id == "BBX-S02"]
    assert check.verdict == "warn"


def test_what_is_refused_is_no_secret_of_others(machine: Machine) -> None:
    machine.free_gb = FLOORS[LAUNCHES] - 1
    disk.run(CONFIG)
    key = parse_record(Path(layout.DRAIN_FILE).read_text()).key
    assert key
    for name in ("DISK_STATE", "METRICS_FILE", "AUDIT_FILE"):
        assert key not in Path(getattr(layout, name)).read_text()


def test_whose_files_fill_it_is_looked_for_once_in_half_an_hour_also_where_it_is_nobodys(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It reads the whole disk, and a member may stay short of room for its cache for weeks."""
    machine.free_gb, machine.held_gb, looks = 15.0, 0.0, list[float]()
    monkeypatch.setattr(measuring, "others", lambda config, disks, now: looks.append(now) or [])
    for minute in range(40):
        disk.run(CONFIG, now=1e9 + 60 * minute)
    assert looks == [1e9, 1e9 + 1800]


def test_a_sum_of_all_files_that_fails_is_not_tried_again_each_minute(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    tried = list[float]()

    def late(config: AgentConfig, now: float) -> dict[str, Any]:
        tried.append(now)
        raise CommandFailed("du: not within 900 s")

    monkeypatch.setattr(measuring, "parts", late)
    for minute in range(10):
        disk.run(CONFIG, now=1e9 + 60 * minute)
    assert tried == [1e9]


def test_on_a_disk_that_is_full_to_its_last_byte_launches_are_refused_all_the_same(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is there already can be written over; nothing new can be written beside."""
    machine.free_gb, machine.images = 0.0, []

    def full(*words: object, **more: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(telling, "audit", full)
    monkeypatch.setattr(telling, "state", full)
    monkeypatch.setattr(disk, "closing", full)  # the memory cannot be opened either
    assert not disk.run(CONFIG)
    assert parse_record(Path(layout.DRAIN_FILE).read_text()).by_node


def test_a_job_that_does_not_look_any_more_is_told() -> None:
    """It may hang, or end with a traceback at each run, and its last word was good."""
    found = {
        "at": "2026-01-01T00:00:00Z",
        "file_systems": [],
        "refused": [],
        "others": [],
        "did": [],
        "why": "",
    }
    (check,) = [one for one in run_checks(of("retention"), FakeProbe(looked=found)) if one.id == "BBX-S02"]
    assert (check.verdict, "hours ago" in check.measured) == ("fail", True)


def test_what_others_take_is_counted_as_an_install_counts_it(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of 100 GB 10 are free; logs and the kubelet's files are among the others', as in the plan of the disk."""
    monkeypatch.undo()
    sizes = {
        layout.CONTAINERD_ROOT: 30,
        layout.K3S_DATA: 5,
        f"{layout.DATA}/objectstore": 20,
        layout.DATA: 2,
        "/var/log/pods": 3,
    }
    monkeypatch.setattr(measuring, "sized", lambda path: (10 * GB, 100 * GB))
    monkeypatch.setattr(measuring, "same_disk", lambda one, other: True)
    monkeypatch.setattr(measuring, "_du", lambda words, timeout_s: "".join(
        f"{size * GB}\t{path}\n" for path, size in sizes.items()
    ))  # fmt: skip
    monkeypatch.setattr(containerd, "cache_records", lambda: [])
    for name in ("DISK_HISTORY", "RETENTION_MEMORY", "DOOR_STATUS"):
        monkeypatch.setattr(layout, name, str(Path(layout.LIB).with_name("nowhere")))
    monkeypatch.setattr(measuring.files, "write", lambda path, text: None)
    assert measuring.parts(CONFIG, 1e9)["other_bytes"] == {ONLY.name: 33 * GB}


def test_directories_of_one_file_system_and_of_two(tmp_path: Path) -> None:
    assert filesystems.same_disk(str(tmp_path), str(tmp_path / "not" / "there"))
    assert not filesystems.same_disk(str(tmp_path), "/proc")


def test_the_job_says_who_it_is_where_it_drains(machine: Machine) -> None:
    refusing.launches(CONFIG, {ONLY.name: GB})
    assert parse_record(Path(layout.DRAIN_FILE).read_text()).who == "the disk's job on this node"
