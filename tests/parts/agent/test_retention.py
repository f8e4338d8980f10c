"""The node's retention on a real registry and its real bucket: what it notes, what it deletes, and what stays readable."""

from __future__ import annotations

import json
import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.member.model import Member
from binderbox.parts.agent.jobs import retention
from binderbox.parts.agent.jobs.bucket import Bucket, StoreFailed
from binderbox.parts.agent.jobs.config import AgentConfig, parse_config
from binderbox.parts.agent.jobs.memory import Memory
from binderbox.parts.agent.units import make_inputs
from binderbox.parts.push_lock import Held, held_back, pushing
from binderbox.parts.registry.retention import DAY_S
from tests.parts.agent.test_travels import ALLOWED, DISK, FACTS
from tests.parts.registry.server import KEY, ROOT, Registry, running_registry

BASE, DAY = os.urandom(300_000), 1_000_000.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    with running_registry(tmp_path_factory.mktemp("registry")) as there:
        yield there


@pytest.fixture
def node(server: Registry, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Registry]:
    """The paths of a node below a directory, its registry's log, and a bucket with nothing young in it."""
    for name in ("RETENTION_STATE", "RETENTION_MEMORY", "PUSH_LOCK", "AUDIT_FILE"):
        monkeypatch.setattr(layout, name, str(tmp_path / name.lower()))
    notes = retention.note
    monkeypatch.setattr(retention, "note", lambda memory, seen_s: notes(memory, seen_s, str(server.log)))
    monkeypatch.setattr(retention, "_bucket", lambda config: bucket(server))
    monkeypatch.setattr(retention, "YOUNG_S", -5.0)
    yield server
    with_all = bucket(server)
    with_all.delete([one.key for one in with_all.all()])


def bucket(server: Registry) -> Bucket:
    return Bucket(f"http://{server.store}", layout.BUCKET, KEY.access, KEY.secret)


def config(max_gb: float = 0.0) -> AgentConfig:
    text = make_inputs(Member(domain="b.example.org"), FACTS, ALLOWED, "b:1", disk=DISK).config
    return replace(parse_config(text), registry_max_gb=max_gb)


def state() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(Path(layout.RETENTION_STATE).read_text())
    return found


def days(first: int, last: int, *, asked: Any = None) -> None:
    """One run a day, as the wall's clock has it."""
    for day in range(first, last + 1):
        assert retention.run(config(), asked, now=DAY + day * DAY_S)


def test_an_image_that_nobody_asks_for_is_forgotten_after_a_month_and_one_that_is_launched_stays(
    node: Registry,
) -> None:
    node.push("i-old", "1", BASE, b"old" * 1000)
    node.push("i-kept", "1", BASE, b"kept" * 1000)
    days(0, 29)
    assert node.reads("i-kept", "1"), "and is asked for by that"
    assert node.ask("HEAD", "/v2/i-old/manifests/other").status == 404
    held = sum(one.size_bytes for one in bucket(node).all() if "/blobs/" in one.key)
    days(30, 32)
    assert (node.reads("i-old", "1"), node.reads("i-kept", "1")) == (False, True)
    left = {one.key: one.size_bytes for one in bucket(node).all()}
    assert not [key for key in left if "/i-old/" in key], "its empty repository goes too"
    said = state()
    freed = held - sum(size for key, size in left.items() if "/blobs/" in key)
    assert freed >= 3000
    assert (said["images"], said["size_bytes"]) == (1, held - freed)
    assert node.push("i-old", "1", BASE, b"old" * 1000)
    assert node.reads("i-old", "1"), "the registry does not remember what was deleted"


def test_a_dry_run_says_what_a_sweep_then_takes_and_takes_nothing(node: Registry) -> None:
    node.push("i-a", "1", BASE)
    before = sorted(one.key for one in bucket(node).all())
    days(0, 0)
    days(1, 1, asked={"dry": True, "keep_days": 0.5})
    assert state()["forgotten"] == 0, "what was only asked is no sweep"
    said = state()["dry_run"]
    assert (said["dry"], said["forgotten"]) == (True, 1)
    assert sorted(one.key for one in bucket(node).all()) == before
    days(2, 2, asked={"keep_days": 0.5})
    assert (state()["freed_bytes"], state()["forgotten"]) == (said["freed_bytes"], 1)
    assert list(bucket(node).all()) == []
    assert not node.reads("i-a", "1")


def test_a_full_registry_forgets_the_longest_idle_first(node: Registry) -> None:
    for number in range(4):
        node.push(f"i-{number}", "1", os.urandom(250_000))
        assert retention.run(config(), None, now=DAY + number * DAY_S)
    assert retention.run(config(max_gb=0.001), {}, now=DAY + 5 * DAY_S)
    assert [node.reads(f"i-{number}", "1") for number in range(4)] == [False, True, True, True]
    assert "the registry is full" in state()["why_forgotten"][0]


def test_a_bucket_that_fills_within_hours_is_not_waited_for_a_day(node: Registry) -> None:
    small = config(max_gb=0.001)
    assert retention.run(small, None, now=DAY)
    for number in range(6):
        node.push(f"i-{number}", "1", os.urandom(250_000))
        assert retention.run(small, None, now=DAY + (number + 1) * 600)
        assert sum(one.size_bytes for one in bucket(node).all()) < 1_000_000
    assert node.reads("i-5", "1")
    assert not node.reads("i-0", "1")


def test_a_memory_that_is_lost_takes_no_image_along(node: Registry) -> None:
    node.push("i-a", "1", BASE)
    days(0, 20)
    Path(layout.RETENTION_MEMORY).write_bytes(b"a power cut")
    for name in ("-wal", "-shm"):
        Path(layout.RETENTION_MEMORY + name).unlink(missing_ok=True)
    days(21, 45)
    assert node.reads("i-a", "1")


def test_after_a_memory_that_is_lost_sweeps_go_on(node: Registry) -> None:
    """The clock is lost with it, and the last sweep is of a time to come."""
    node.push("i-a", "1", BASE)
    days(0, 20)
    for name in ("", "-wal", "-shm"):
        Path(layout.RETENTION_MEMORY + name).unlink(missing_ok=True)
    days(21, 21)
    assert state()["swept_seen_s"] == 0.0
    days(22, 22)
    assert state()["swept_seen_s"] == DAY_S
    full = config(max_gb=0.0002)
    assert retention.run(full, None, now=DAY + 22 * DAY_S + 600), "nor is a full bucket waited for"
    assert state()["forgotten"] == 1


def test_a_disk_that_is_full_takes_no_memory_along(node: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    node.push("i-a", "1", BASE)
    days(0, 0)
    before = Path(layout.RETENTION_MEMORY).stat().st_ino

    def full(self: Memory) -> sqlite3.Connection:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as at_once:
        at_once.setattr(Memory, "_opened", full)
        assert not retention.run(config(), None, now=DAY + DAY_S)
    assert "disk is full" in state()["why"]
    assert Path(layout.RETENTION_MEMORY).stat().st_ino == before
    days(2, 2)
    assert state()["why"] == ""


def test_an_image_that_is_asked_for_while_pushes_are_waited_for_stays(node: Registry) -> None:
    node.push("i-a", "1", BASE)
    days(0, 0)
    with pushing(Path(layout.PUSH_LOCK)):
        sweep = threading.Thread(target=days, args=(31, 31), kwargs={"asked": {"keep_days": 0.5}})
        sweep.start()
        time.sleep(1.0)
        assert node.reads("i-a", "1")
    sweep.join(60)
    assert state()["forgotten"] == 0
    assert node.reads("i-a", "1")


def test_what_a_cut_left_of_a_tag_goes_with_its_repository(
    node: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.push("i-a", "1", BASE)
    days(0, 0)
    delete = Bucket.delete

    def cut(self: Bucket, keys: Sequence[str]) -> None:
        current = [key for key in keys if key.endswith("/current/link")]
        delete(self, current)
        if current:
            raise StoreFailed("a power cut within a batch")

    with monkeypatch.context() as once:
        once.setattr(Bucket, "delete", cut)
        assert not retention.run(config(), {"keep_days": 0.5}, now=DAY + DAY_S)
    days(2, 2, asked={"keep_days": 0.5})
    assert list(bucket(node).all()) == []


def test_what_cannot_be_parsed_is_named(node: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    node.push("i-a", "1", BASE)
    monkeypatch.setattr(Bucket, "get", lambda self, key: b"<html>")
    assert not retention.run(config(), {}, now=DAY)
    assert "/_manifests/tags/1/current/link: no link: '<html>'" in state()["why"]


@pytest.mark.parametrize(
    "answer",
    [
        b"<html><p>a proxy's page",
        b"<ListBucketResult><Contents><Key>docker/x</Key></Contents></ListBucketResult>",
    ],
)
def test_an_answer_that_is_no_listing_is_told(
    node: Registry, monkeypatch: pytest.MonkeyPatch, answer: bytes
) -> None:
    with monkeypatch.context() as once:
        once.setattr(Bucket, "_asked", lambda self, *words, **named: answer)
        assert not retention.run(config(), {}, now=DAY)
    assert state()["why"]


def test_uploads_that_nobody_ended_are_let_go(node: Registry) -> None:
    from minio import Minio

    root = Minio(node.store, ROOT.access, ROOT.secret, secure=False)
    name = f"{layout.REGISTRY_ROOT}repositories/i-a/_uploads/x/data"
    root._create_multipart_upload(layout.BUCKET, name, {})
    asked = Bucket(f"http://{node.store}", layout.BUCKET, ROOT.access, ROOT.secret)

    def left() -> int:
        return len(root._list_multipart_uploads(layout.BUCKET, prefix=name).uploads)

    assert (asked.abort_uploads(time.time() - DAY_S), left()) == (0, 1)
    assert (asked.abort_uploads(time.time() + 5), left()) == (1, 0)


def test_a_log_in_the_place_of_another_is_read_from_its_beginning(tmp_path: Path) -> None:
    memory, log = Memory(tmp_path / "memory"), tmp_path / "0.log"
    asked = '2026-11-30T04:00:00.%d stdout F "GET /v2/i-%s/manifests/1 HTTP/1.1" 200 5 "" "x"\n'
    log.write_text("".join(asked % (number, "old") for number in range(5)))
    retention.note(memory, 1.0, str(tmp_path / "*.log"))
    log.write_text("".join(asked % (number, "new") for number in range(7, 20)))  # the inode is the same
    retention.note(memory, 2.0, str(tmp_path / "*.log"))
    assert memory.used() == {"i-old:1": 1.0, "i-new:1": 2.0}
    memory.close()


@pytest.mark.parametrize("status", [503, 429])
def test_a_store_that_puts_off_is_asked_again(monkeypatch: pytest.MonkeyPatch, status: int) -> None:
    answers = [(status, b"SlowDown"), (200, b"here")]
    monkeypatch.setattr(time, "sleep", lambda seconds: None)
    monkeypatch.setattr(Bucket, "_once", lambda self, *words: answers.pop(0))
    assert Bucket("http://127.0.0.1:1", "b", "a", "s").get("key") == b"here"


def test_a_sweep_that_is_cut_off_is_ended_by_the_next(
    node: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    node.push("i-a", "1", BASE, b"a" * 1000)
    node.push("i-b", "1", BASE, b"b" * 1000)
    days(0, 0)
    left = [2]
    delete = Bucket.delete

    def cut(self: Bucket, keys: list[str]) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise StoreFailed("the power was cut")
        delete(self, keys)

    with Memory(Path(layout.RETENTION_MEMORY)).at_once():
        pass
    monkeypatch.setattr(Bucket, "delete", cut)
    memory = Memory(Path(layout.RETENTION_MEMORY))
    memory.use(["i-a:1"], -31 * DAY_S)
    memory.close()
    assert not retention.run(config(), {}, now=DAY + DAY_S)
    assert "the power was cut" in state()["why"]
    assert node.reads("i-b", "1")
    monkeypatch.setattr(Bucket, "delete", delete)
    assert retention.run(config(), {}, now=DAY + DAY_S + 60)
    assert (node.reads("i-a", "1"), node.reads("i-b", "1")) == (False, True)
    assert not [one.key for one in bucket(node).all() if "/i-a/" in one.key]


def test_a_push_that_mounts_what_is_condemned_waits_and_is_whole(
    node: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At every step of the sweep somebody begins to push an image on the very layer that goes."""
    layer = os.urandom(50_000)
    node.push("i-old", "1", layer)
    days(0, 0)
    done: list[str] = []
    pushes: list[threading.Thread] = []
    delete, decided = Bucket.delete, retention._decided

    def push(name: str) -> None:
        with pushing(Path(layout.PUSH_LOCK)):
            node.push(name, "1", layer, name.encode())
            done.append(name)

    def begin() -> None:
        pushes.append(threading.Thread(target=push, args=(f"i-{len(pushes)}",)))
        pushes[-1].start()
        time.sleep(0.2)  # it could have mounted by now
        assert done == [], "it pushes during the sweep"

    def slow_delete(self: Bucket, keys: list[str]) -> None:
        begin()
        delete(self, keys)

    def slow_decided(*given: Any) -> Any:
        begin()
        return decided(*given)

    with monkeypatch.context() as slowly:
        slowly.setattr(Bucket, "delete", slow_delete)
        slowly.setattr(retention, "_decided", slow_decided)
        assert retention.run(config(), {"keep_days": 0.5}, now=DAY + DAY_S)
    for one in pushes:
        one.join(30)
    assert len(pushes) == 5, "when it decides, and before tags, manifests, layers and blobs"
    assert [node.reads(f"i-{number}", "1") for number in range(5)] == [True] * 5
    assert not node.reads("i-old", "1")


def test_what_cannot_be_read_stops_the_sweep_and_nothing_is_deleted(node: Registry) -> None:
    node.push("i-a", "1", BASE)
    store = bucket(node)
    (link,) = [one.key for one in store.all() if one.key.endswith("/current/link")]
    broken = Bucket(f"http://{node.store}", layout.BUCKET, KEY.access, KEY.secret)
    broken._asked("PUT", link, {}, b"no digest")
    before = sorted(one.key for one in store.all())
    assert not retention.run(config(), {"keep_days": 1}, now=DAY)
    assert "no link" in state()["why"]
    assert sorted(one.key for one in store.all()) == before


def test_a_second_pass_reads_no_manifest_again(node: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    for number in range(5):
        node.push(f"i-{number}", "1", BASE)
    days(0, 0)
    asked: list[str] = []
    get = Bucket.get
    monkeypatch.setattr(Bucket, "get", lambda self, key: asked.append(key) or get(self, key))
    days(1, 1)
    assert asked == []
    node.push("i-0", "1", BASE, b"another")
    days(2, 2)
    assert len(asked) == 2, "a link that leads elsewhere, and its manifest"


def test_logs_are_read_once_and_lines_that_are_being_written_later(tmp_path: Path) -> None:
    log, memory = tmp_path / "0.log", Memory(tmp_path / "m.sqlite")
    line = '"GET /v2/i-{}/manifests/1 HTTP/1.1" 200 5 "" ""\n'
    log.write_text(line.format("a") + line.format("b")[:20])
    retention.note(memory, 5.0, f"{tmp_path}/*.log*")
    assert memory.used() == {"i-a:1": 5.0}
    with log.open("a") as more:
        more.write(line.format("b")[20:])
    log.rename(tmp_path / "0.log.20261129")
    (tmp_path / "0.log").write_text(line.format("c"))
    (tmp_path / "0.log.1.gz").write_bytes(b"packed")
    retention.note(memory, 9.0, f"{tmp_path}/*.log*")
    assert memory.used() == {"i-a:1": 5.0, "i-b:1": 9.0, "i-c:1": 9.0}


def test_while_somebody_pushes_nobody_sweeps_and_who_waits_to_is_not_kept_out(tmp_path: Path) -> None:
    lock = tmp_path / "push.lock"
    with pushing(lock), pushing(lock), pytest.raises(Held), held_back(lock, 0.3):
        pass
    with held_back(lock, 0.3), pytest.raises(Held), held_back(lock, 0.3):
        pass


def test_a_key_that_is_refused_is_said(node: Registry) -> None:
    with pytest.raises(StoreFailed, match="403"):
        list(Bucket(f"http://{node.store}", layout.BUCKET, KEY.access, "wrong" * 8).all())


def test_a_store_that_does_not_answer_is_asked_again_and_then_told(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[float] = []
    monkeypatch.setattr(time, "sleep", waits.append)
    with pytest.raises(StoreFailed, match="refused"):
        list(Bucket("http://127.0.0.1:9", layout.BUCKET, "a", "b").all())
    assert len(waits) == 3
