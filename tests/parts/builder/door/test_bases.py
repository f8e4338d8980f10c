"""Base images that claim to be others: found before a build on either is answered, and their traces removed."""

from __future__ import annotations

import gzip
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import pytest

from binderbox.parts.builder.door import bases as module
from binderbox.parts.builder.door.bases import Bases, content_of
from binderbox.parts.builder.door.bolt import State, Unreadable
from binderbox.parts.builder.door.containerd import ContainerdError, Images
from binderbox.parts.telling import Telling
from tests.waiting import wait_until

from .conftest import RunningDoor, eventually, make_config

HONEST, EVIL = (b"the files of a base image " * 1000, b"the files of somebody else " * 1000)
RUNS, LATER = "2026-11-30T08:00:00.5Z", "2026-11-30T09:00:00.25Z"
BEGAN = 1_796_025_600.0  # RUNS, but for half a second


def sha256(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def manifest_of(config: bytes) -> bytes:
    return json.dumps({"config": {"digest": sha256(config)}, "layers": []}).encode()


def config_of(name: str, *says: bytes) -> bytes:
    return json.dumps({"name": name, "rootfs": {"diff_ids": [sha256(one) for one in says]}}).encode()


CLAIMS = {
    "honest": HONEST,
    "evil": HONEST,
    "other": b"other",
    "another": EVIL,
    "lazy": EVIL,
    "bomb": b"what it claims",
}


def image(name: str) -> str:
    return f"{name}:1@{sha256(manifest_of(config_of(name, CLAIMS[name])))}"


class Node:
    """BuildKit's records, made up; the content that containerd has; the snapshots that are there, with when they were made."""

    def __init__(self, state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.blobs = state / "containerd/io.containerd.content.v1.content/blobs/sha256"
        self.blobs.mkdir(parents=True)
        self.records: dict[str, dict[str, Any]] = {}
        self.snapshots: dict[str, str] = {}
        self.pruned: list[set[str]] = []
        self.in_use: set[str] = set()
        self.unreadable = self.down = False
        self.read: list[str] = []
        self.count = 0
        monkeypatch.setattr(module, "look", self.look)
        monkeypatch.setattr(module, "PRUNE_EVERY_S", 0.0)
        real = content_of
        monkeypatch.setattr(module, "content_of", lambda path: self.read.append(path.name) or real(path))
        self.telling = Telling(state / "told.json", state / "audit.log", "build door")
        self.bases = self.make()

    def make(self) -> Bases:
        return Bases(make_config(self.state), cast(Images, self.Ctr(self)), self.telling, self.run)

    class Ctr:
        def __init__(self, node: Node) -> None:
            self.node = node

        def snapshots(self, words: list[str]) -> str:
            if self.node.down:
                raise ContainerdError("ctr snapshots info: connection refused")
            if words[1] not in self.node.snapshots:
                raise ContainerdError(f"ctr snapshots info: snapshot {words[1]} does not exist: not found")
            return json.dumps({"Created": self.node.snapshots[words[1]]})

    def run(self, words: Sequence[str]) -> bool:
        """`buildctl prune`: what nobody uses goes, and with the last record its snapshot."""
        assert words[3:5] == ("--all",) or "--all" in words
        wanted = {word.removeprefix("id==") for word in words if word.startswith("id==")}
        self.pruned.append(wanted)
        for one in wanted - self.in_use:
            gone = self.records.pop(one, {})
            name = gone.get("cache.snapshot")
            if name and not any(each.get("cache.snapshot") == name for each in self.records.values()):
                self.snapshots.pop(name, None)
        return True

    def look(self, path: Path, read: Callable[[State], Any]) -> Any:
        if self.unreadable:
            raise Unreadable("no meta page is whole")
        return read(cast(State, self))

    def items(self, bucket: Sequence[bytes], prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        if bucket == (b"_index",):
            names = ((one.get("cache.chainID"), record) for record, one in self.records.items())
            found = {f"chainid:{chain}::{record}".encode(): b"" for chain, record in names if chain}
        else:
            values = self.records.get(bucket[1].decode(), {})
            found = {name.encode(): json.dumps({"value": value}).encode() for name, value in values.items()}
        yield from ((name, value) for name, value in sorted(found.items()) if name.startswith(prefix))

    def buckets(self, bucket: Sequence[bytes]) -> Iterator[bytes]:
        yield from (record.encode() for record in self.records)

    def pull(self, name: str, says: bytes, holds: bytes, *, at: float = BEGAN, made: str = LATER) -> str:
        """An image of one layer; its record's name. What has the layer's name already is taken for it."""
        assert CLAIMS[name] == says
        for content in (config_of(name, says), manifest_of(config_of(name, says))):
            (self.blobs / sha256(content).partition(":")[2]).write_bytes(content)
        packed = gzip.compress(holds, mtime=0)
        blob = sha256(packed)
        (self.blobs / blob.partition(":")[2]).write_bytes(packed)
        self.count += 1
        record = hashlib.sha256(f"{name} {self.count}".encode()).hexdigest()[:25]
        self.records[record] = {
            "cache.chainID": sha256(says),
            "cache.diffID": sha256(says),
            "cache.blob": blob,
            "cache.snapshot": sha256(says),
            "cache.imageRefs": [image(name)],
            "cache.createdAt": int(at * 1e9),
        }
        self.snapshots.setdefault(sha256(says), made)
        return record

    def step(self, record: str, parent: str, **more: Any) -> None:
        self.records[record] = {"cache.parent": parent, "cache.snapshot": record, **more}


@pytest.fixture
def node(state: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(state, monkeypatch)


def test_images_that_are_what_they_say_are_read_once(node: Node) -> None:
    node.pull("honest", HONEST, HONEST)
    node.pull("another", EVIL, EVIL)
    for _ in range(3):
        assert node.bases.judge([image("honest")], True, BEGAN) == ""
        node.bases.look()
    assert len(node.read) == 2
    again = node.make()  # after a restart of the door
    assert again.judge([image("another")], True, BEGAN) == ""
    assert len(node.read) == 2
    assert node.telling.recent() == []


def test_what_is_built_here_and_what_has_not_come_yet_are_not_read(node: Node) -> None:
    record = node.pull("honest", HONEST, EVIL)
    node.records["s" * 25] = node.records.pop(record) | {"cache.snapshot": "s" * 25}
    waiting = node.pull("lazy", EVIL, EVIL)
    blob = node.blobs / node.records[waiting]["cache.blob"].partition(":")[2]
    content = blob.read_bytes()
    blob.unlink()
    assert node.bases.judge([image("lazy")], True, BEGAN) == ""
    assert node.read == []
    blob.write_bytes(content)
    assert node.bases.judge([image("lazy")], True, BEGAN) == ""
    assert node.read == [blob.name]


def test_what_goes_while_it_is_looked_at_is_no_lie(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    node.pull("honest", HONEST, HONEST)
    with monkeypatch.context() as gone:
        gone.setattr(module, "content_of", lambda path: path.with_name("none").read_text())
        assert "could not be seen" in node.bases.judge([image("honest")], True, BEGAN)
    assert node.bases.judge([image("honest")], True, BEGAN) == ""


def test_who_lies_is_told_so_and_so_is_whoever_got_it_instead_of_the_truth(node: Node) -> None:
    lying = node.pull("evil", HONEST, EVIL)
    honest = node.pull("honest", HONEST, HONEST)  # and gets what is there
    node.pull("other", b"other", b"other")
    node.in_use = {lying, honest}
    assert "evil:1" in node.bases.judge([image("evil")], True, BEGAN)
    assert "holds something else" in node.bases.judge([image("evil")], True, BEGAN)
    assert "Another image has claimed" in node.bases.judge([image("other"), image("honest")], True, BEGAN)
    assert node.bases.judge([image("other")], True, BEGAN) == ""
    assert "Another image" in node.bases.judge([], False, BEGAN), "nobody knows what that one was made from"
    assert [one["what"] for one in node.telling.recent()] == ["base-lied"]
    assert "evil:1" in (node.state / "audit.log").read_text()


def test_what_it_left_goes_with_all_that_is_on_top_of_it_and_then_the_truth_comes(node: Node) -> None:
    lying, honest = node.pull("evil", HONEST, EVIL), node.pull("honest", HONEST, HONEST)
    node.step("a" * 25, lying)
    node.step("b" * 25, honest)
    node.step("c" * 25, "b" * 25)
    node.step("d" * 25, "nobody", **{"cache.mergeParents": ["x", "c" * 25]})
    node.step("e" * 25, node.pull("other", b"other", b"other"))
    node.in_use = {lying, "a" * 25}  # its build still runs
    assert node.bases.judge([image("honest")], True, BEGAN)
    assert node.pruned[-1] == {lying, honest, *(one * 25 for one in "abcd")}
    assert node.bases.lies
    node.in_use = set()
    node.bases.look()
    assert {"e" * 25} == {one for one in node.records if len(set(one)) == 1}
    node.bases.look()
    assert not node.bases.lies
    node.pull("honest", HONEST, HONEST, made="2026-11-30T10:00:00Z")
    assert node.bases.judge([image("honest")], True, time.time() + 1) == ""


def test_who_was_building_while_it_went_is_not_answered_either(node: Node) -> None:
    """BuildKit lets go of a build's records as soon as it is done, and so what it was made from may be gone when it is judged."""
    node.pull("evil", HONEST, EVIL)
    node.pull("honest", HONEST, HONEST)
    node.bases.look()
    node.bases.look()
    assert (node.bases.lies, node.records) == (False, {})
    assert "Another image" in node.bases.judge([image("honest")], True, BEGAN)
    assert "Another image" in node.make().judge([image("honest")], True, BEGAN)
    node.pull("other", b"other", b"other")
    assert node.bases.judge([image("other")], True, BEGAN) == ""


def test_a_lie_about_what_was_there_before_harms_nobody_else(node: Node) -> None:
    """What has the name is what everybody gets, who lies too. Else one could end all builds on a base at will."""
    node.pull("honest", HONEST, HONEST, at=BEGAN - 3600, made=RUNS)
    lying = node.pull("evil", HONEST, EVIL, at=BEGAN + 60)
    assert node.bases.judge([image("honest")], True, BEGAN) == ""
    assert node.pruned == [{lying}]
    node.bases.look()
    assert not node.bases.lies
    node.pull("evil", HONEST, EVIL, at=BEGAN + 60)
    assert "holds something else" in node.bases.judge([image("evil")], True, time.time() + 1)


def test_whoever_gets_the_lies_own_record_is_not_answered_either(node: Node) -> None:
    """BuildKit's cache knows a base by the name of its layers: a build on the honest image makes no record of its own."""
    lying, honest = node.pull("evil", HONEST, EVIL), node.pull("honest", HONEST, HONEST)
    del node.records[honest]
    node.in_use = {lying}
    assert "Another image" in node.bases.judge([image("honest")], True, BEGAN)
    node.pull("other", b"other", b"other")
    assert node.bases.judge([image("other")], True, BEGAN) == ""
    (node.blobs / image("other").rpartition(":")[2]).unlink()
    assert "Another image" in node.bases.judge([image("other")], True, BEGAN), (
        "nobody knows what it is made of"
    )


def test_an_image_for_several_platforms_is_known_by_that_of_this_node(node: Node) -> None:
    node.in_use = {node.pull("evil", HONEST, EVIL)}
    node.pull("honest", HONEST, HONEST)
    node.pull("other", b"other", b"other")

    def listed(*names: str) -> str:
        platforms = (
            {"os": "linux", "architecture": "amd64"},
            {"os": "linux", "architecture": "arm64", "variant": "v8"},
        )
        manifests = [
            {"digest": image(name).rpartition("@")[2], "platform": platform}
            for name, platform in zip(names, platforms, strict=True)
        ]
        content = json.dumps({"manifests": manifests}).encode()
        (node.blobs / sha256(content).partition(":")[2]).write_bytes(content)
        return f"several:1@{sha256(content)}"

    assert "Another image" in node.bases.judge([listed("honest", "other")], True, BEGAN)
    assert node.bases.judge([listed("other", "honest")], True, BEGAN) == ""
    (node.blobs / image("other").rpartition(":")[2]).unlink()
    assert "Another image" in node.bases.judge([listed("other", "honest")], True, BEGAN)


def test_while_nothing_has_the_name_yet_nobody_knows_whose_it_will_be(node: Node) -> None:
    node.in_use = {node.pull("evil", HONEST, EVIL), node.pull("honest", HONEST, HONEST)}
    del node.snapshots[sha256(HONEST)]
    assert "Another image" in node.bases.judge([image("honest")], True, BEGAN)


def test_a_lie_is_remembered_by_the_next_door(node: Node) -> None:
    """The record may go before what it left does."""
    lying, honest = node.pull("evil", HONEST, EVIL), node.pull("honest", HONEST, HONEST)
    node.in_use = {lying, honest}
    assert node.bases.judge([image("honest")], True, BEGAN)
    del node.records[lying]
    assert "Another image" in node.make().judge([image("honest")], True, BEGAN)


@pytest.mark.parametrize("fault", ["unreadable", "down"])
def test_what_cannot_be_compared_is_not_answered(node: Node, fault: str) -> None:
    node.in_use = {node.pull("evil", HONEST, EVIL), node.pull("honest", HONEST, HONEST)}
    setattr(node, fault, True)
    assert "could not be seen" in node.bases.judge([image("honest")], True, BEGAN)
    setattr(node, fault, False)
    assert "Another image" in node.bases.judge([image("honest")], True, BEGAN)


@pytest.mark.parametrize("packed", ["gzip", "zstd", "plain", "two members"])
def test_an_archive_is_known_by_what_it_holds(tmp_path: Path, packed: str) -> None:
    path = tmp_path / "blob"
    path.write_bytes(HONEST)
    if packed == "zstd":
        path.write_bytes(
            subprocess.run(["zstd", "-qc"], input=HONEST, capture_output=True, check=True).stdout
        )
    if packed == "gzip":
        path.write_bytes(gzip.compress(HONEST))
    if packed == "two members":
        path.write_bytes(gzip.compress(HONEST[:1000]) + gzip.compress(HONEST[1000:]))
    assert content_of(path) == sha256(HONEST)


@pytest.mark.parametrize("damage", ["cut", "followed by more"])
def test_an_archive_that_cannot_be_read_holds_nothing(tmp_path: Path, damage: str) -> None:
    path, whole = tmp_path / "blob", gzip.compress(HONEST)
    path.write_bytes(whole[:-10] if damage == "cut" else whole + b"more")
    assert content_of(path) == ""


def test_one_that_never_ends_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "READ_S", 0)
    monkeypatch.setattr(module, "PROGRAMS", {b"end": ("cat", "/dev/zero")})
    (tmp_path / "blob").write_bytes(b"endless")
    assert content_of(tmp_path / "blob") == ""


def test_nobody_waits_for_an_archive_that_is_not_his(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may be made to take minutes."""
    node.pull("honest", HONEST, HONEST)
    bomb = node.records[node.pull("bomb", b"what it claims", EVIL)]["cache.blob"].partition(":")[2]
    real, ended = module.content_of, threading.Event()

    def slowly(path: Path) -> str:
        if path.name == bomb:
            assert ended.wait(10)
        return real(path)

    monkeypatch.setattr(module, "content_of", slowly)
    with ThreadPoolExecutor(2) as pool:
        looking = pool.submit(node.bases.look)
        wait_until(
            lambda: bomb in {one.partition(":")[2] for one in node.bases._reading}, 10, "it is being read"
        )
        assert node.bases.judge([image("honest")], True, BEGAN) == ""
        waiting = pool.submit(node.bases.judge, [image("bomb")], True, BEGAN)
        time.sleep(0.1)
        assert not waiting.done()
        ended.set()
        looking.result()
        assert "holds something else" in waiting.result()


def test_an_archive_that_holds_far_more_than_any_layer_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "blob"
    path.write_bytes(gzip.compress(b"0" * 5_000_000))
    assert content_of(path) == sha256(b"0" * 5_000_000)
    monkeypatch.setattr(module, "AT_LEAST", 1000)
    assert content_of(path) == ""


def test_the_door_asks_with_the_images_that_buildkit_named(door: RunningDoor) -> None:
    name = image("evil")
    door.against[True] = {frozenset({name}): "That base image is not what it says it is."}
    with pytest.raises(Exception, match="not what it says"):
        door.build(f"say [stage-1 1/2] FROM {name}")
    assert "hello" in door.build("say hello")
    eventually(lambda: door.status()["builds"] == [])
