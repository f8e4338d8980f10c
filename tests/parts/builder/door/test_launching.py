"""An image that was built is launchable from what BuildKit has built it in; containerd is a double behind gRPC's own server."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from binderbox.parts.builder.door.api import Api
from binderbox.parts.builder.door.bolt import State
from binderbox.parts.builder.door.launching import MOST_LAYERS, Launching, built_as, chain_of

from .conftest import RunningDoor, events_in, make_config
from .containerd_double import Containerd
from .test_bolt import CHAIN, LAYERS, RECORDED, SNAPSHOT

ROOT = "containerd.io/gc.root"
CONFIG = "sha256:" + "c" * 64
BUILT: dict[str, Any] = {"containerimage.config.digest": CONFIG}


class Node:
    """What a node has after a build: BuildKit's records, the image's content, and its snapshots."""

    def __init__(self, state: Path) -> None:
        self.state = state
        (state / "metadata_v2.db").write_bytes(gzip.decompress(RECORDED.read_bytes()))
        self.layers(LAYERS)
        config = replace(make_config(state), containerd_socket=str(state / "c.sock"))
        self.containerd = Containerd(config.containerd_socket)
        self.has(SNAPSHOT)
        self.launching = Launching(config, Api(config))

    def layers(self, digests: tuple[str, ...]) -> None:
        blobs = self.state / "containerd/io.containerd.content.v1.content/blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        (blobs / ("c" * 64)).write_text(json.dumps({"rootfs": {"diff_ids": list(digests)}}))

    def has(self, *snapshots: str) -> None:
        self.containerd.snapshots = {
            name: {"parent": "", "kind": "Committed", "labels": {}} for name in snapshots
        }
        self.containerd.content = {CONFIG: {}}

    @property
    def snapshots(self) -> dict[str, dict[str, Any]]:
        return self.containerd.snapshots

    @property
    def held(self) -> set[str]:
        """Names of snapshots that nobody may take away."""
        return {name for name, one in self.snapshots.items() if ROOT in one["labels"]}

    def later(self) -> None:
        """When containerd has done or forgotten whatever it was asked."""
        for name in self.notes:
            os.utime(self.state / "launching" / name, (1, 1))
        self.launching.settle()

    @property
    def notes(self) -> list[str]:
        return os.listdir(self.state / "launching")


@pytest.fixture
def node(state: Path) -> Iterator[Node]:
    node = Node(state)
    yield node
    node.containerd.stop()


def test_the_launch_has_a_snapshot_on_top_of_buildkits_own(node: Node) -> None:
    assert node.launching.make(BUILT) == ""
    assert node.snapshots.keys() == {SNAPSHOT, CHAIN}
    assert (node.snapshots[CHAIN]["parent"], node.snapshots[CHAIN]["kind"]) == (SNAPSHOT, "Committed")
    assert node.held == {CHAIN}
    assert node.containerd.content == {CONFIG: {"containerd.io/gc.ref.snapshot.overlayfs": CHAIN}}
    node.launching.settle()
    assert node.held == set(), "the image's own label keeps it, and it goes with the image"
    assert node.notes == []


def test_what_is_there_already_is_taken(node: Node) -> None:
    """The same tree, built before or pulled."""
    node.has(SNAPSHOT, CHAIN)
    assert node.launching.make(BUILT) == ""
    node.launching.settle()
    assert node.snapshots.keys() == {SNAPSHOT, CHAIN}
    (node.state / "metadata_v2.db").unlink()
    assert "No such file" in node.launching.make(BUILT)


def test_an_image_of_which_buildkit_has_built_nothing_needs_what_was_pulled(
    node: Node,
) -> None:
    other = "sha256:" + "d" * 64
    node.layers((other,))
    assert "not found" in node.launching.make(BUILT)
    node.has(other)
    assert node.launching.make(BUILT) == ""
    assert node.snapshots.keys() == {other}


def test_buildkit_may_have_let_go_of_it(node: Node) -> None:
    node.has()
    assert f"snapshot {SNAPSHOT} does not exist" in node.launching.make(BUILT)
    node.launching.settle()
    assert node.snapshots == {}


@pytest.mark.parametrize("asked", ["snapshots prepare", "snapshots commit", "content update"])
def test_a_containerd_that_is_away_for_a_moment_leaves_nothing_behind(node: Node, asked: str) -> None:
    node.containerd.down.add(asked)
    assert "connection refused" in node.launching.make(BUILT)
    node.launching.settle()
    node.containerd.down.clear()
    node.launching.settle()
    assert node.held == set()
    assert node.snapshots.keys() - {SNAPSHOT, CHAIN} == set()
    node.later()
    assert node.notes == []
    assert node.launching.make(BUILT) == ""


def test_a_containerd_that_is_not_there_is_an_ordinary_unpack(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binderbox.parts.builder.door.rpc.BACK_WITHIN_S", 0.2)
    node.containerd.stop()
    assert node.launching.make(BUILT) == "containerd, update: [Errno 2] No such file or directory"


def killed_after(monkeypatch: pytest.MonkeyPatch, verb: str) -> None:
    does: Callable[..., None] = getattr(Api, verb)

    def killed(self: Api, *words: str) -> None:
        does(self, *words)
        raise KeyboardInterrupt

    monkeypatch.setattr(Api, verb, killed)


@pytest.mark.parametrize("verb", ["prepare", "commit"])
def test_a_door_that_was_killed_in_it_leaves_it_to_the_next_one(
    node: Node, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until `settle` knows better, what was made is held, and so is all of BuildKit's below it."""
    with monkeypatch.context() as dying:
        killed_after(dying, verb)
        with pytest.raises(KeyboardInterrupt):
            node.launching.make(BUILT)
    assert len(node.held) == 1
    node.launching.settle()
    assert node.held == set()
    assert node.snapshots.keys() <= {SNAPSHOT, CHAIN}
    node.later()
    assert node.notes == []


def test_what_containerd_makes_late_goes_too(node: Node) -> None:
    """Its disk was slow, the call was given up, and it went on with what it had been asked."""
    node.containerd.down.add("snapshots prepare")
    assert "connection refused" in node.launching.make(BUILT)
    node.containerd.down.clear()
    node.launching.settle()
    (note,) = node.notes
    late = {"parent": SNAPSHOT, "kind": "Active", "labels": {ROOT: "2026"}}
    node.snapshots[note.partition(".")[0]] = late
    node.launching.settle()
    assert node.snapshots.keys() == {SNAPSHOT}
    assert node.notes == [note]


def test_what_is_there_may_go_until_the_image_keeps_it(node: Node) -> None:
    node.has(SNAPSHOT, CHAIN)
    node.containerd.down.add("content update")
    assert "connection refused" in node.launching.make(BUILT)
    assert "snapshots commit" not in node.containerd.asked, "before the image's label was there"


def test_what_is_being_made_is_not_settled(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    commit = Api.commit

    def settled_meanwhile(self: Api, name: str, key: str) -> None:
        node.launching.settle()
        commit(self, name, key)

    monkeypatch.setattr(Api, "commit", settled_meanwhile)
    assert node.launching.make(BUILT) == ""
    assert node.held == {CHAIN}


@pytest.mark.parametrize(
    ("built", "layers", "why"),
    [
        (BUILT, (), "no layers"),
        (BUILT, ("sha256:short",), "no layers"),
        (BUILT, LAYERS[:1] * (MOST_LAYERS + 1), f"{MOST_LAYERS} fit"),
        ({}, LAYERS, "containerimage.config.digest"),
        ({"containerimage.config.digest": "sha256:../../../../etc/passwd"}, LAYERS, "no digest"),
    ],
)
def test_what_is_not_understood_is_left_to_buildkit(
    node: Node, built: dict[str, Any], layers: tuple[str, ...], why: str
) -> None:
    node.layers(layers)
    assert why in node.launching.make(built)
    assert node.snapshots.keys() == {SNAPSHOT}


class Records:
    """BuildKit's, made up: a record to its values."""

    def __init__(self, **records: dict[str, Any]) -> None:
        self.records = records

    def items(self, bucket: Sequence[bytes], prefix: bytes = b"") -> Iterator[tuple[bytes, bytes]]:
        if bucket == (b"_index",):
            found = {
                f"chainid:{one['cache.chainID']}::{name}".encode(): b"" for name, one in self.records.items()
            }
        else:
            record = self.records.get(bucket[1].decode(), {})
            found = {name.encode(): json.dumps({"value": value}).encode() for name, value in record.items()}
        yield from ((name, value) for name, value in sorted(found.items()) if name.startswith(prefix))


BASE, STEP, OTHER = ("b" * 25, "s" * 25, "t" * 25)
D = [f"sha256:{digit * 64}" for digit in "123"]


def record(of: str, *layers: str, parent: str = "", **more: Any) -> dict[str, Any]:
    above = {"cache.parent": parent} if parent else {}
    return {
        "cache.chainID": chain_of(layers),
        "cache.diffID": layers[-1],
        "cache.snapshot": of,
        **above,
        **{f"cache.{name}": value for name, value in more.items()},
    }


def test_a_record_is_believed_by_what_is_below_it_not_by_its_name() -> None:
    base = record(D[0], D[0])
    step = record(STEP, D[0], D[1], parent=BASE)

    def found(**records: dict[str, Any]) -> str:
        return built_as(cast("State", Records(**{BASE: base} | records)), D[:2])

    assert found(**{STEP: step}) == STEP
    assert found(**{STEP: step | {"cache.snapshot": OTHER}}) == "", "a pulled layer that claims the same name"
    assert found(**{STEP: step | {"cache.snapshot": chain_of(D[:2])}}) == ""
    assert found(**{STEP: step | {"cache.diffID": D[2]}}) == "", "a name that does not come of its layers"
    assert found(**{STEP: step | {"cache.parent": ""}}) == "", "on top of nothing, as after COPY --link"
    assert found(**{STEP: step, BASE: record(D[2], D[2])}) == ""
    assert found(**{STEP: step, BASE: base | {"cache.parent": OTHER}, OTHER: record(D[2], D[2])}) == ""
    for name in ("deleted", "mergeParents", "lowerDiffParent", "upperDiffParent"):
        assert found(**{STEP: step | {f"cache.{name}": ["x"]}}) == "", name
        assert found(**{STEP: step, BASE: base | {f"cache.{name}": ["x"]}}) == "", name
    assert found(**{STEP: step | {"cache.deleted": True}, OTHER: step | {"cache.snapshot": OTHER}}) == OTHER


def test_buildkit_then_unpacks_it_which_is_told_and_which_the_visitor_does_not_see(
    door: RunningDoor, capsys: pytest.CaptureFixture[str]
) -> None:
    door.not_launchable.append("no record of it")
    log = door.build("say once")
    assert (log.count("once"), log.count("Unpacking the image.")) == (1, 1)
    told = [one for one in events_in(capsys.readouterr().err) if one["event"] in ("unpacks", "build-ended")]
    assert [one["event"] for one in told] == ["unpacks", "build-ended"]
    assert told[0]["fault"] == "no record of it"


def test_a_chain_is_named_as_the_image_specification_says() -> None:
    """By the example's own command: sha256sum over the parent's name, a space and the layer's."""
    joined = " ".join(D[:2]).encode()
    shown = subprocess.run(["sha256sum"], input=joined, capture_output=True, check=True).stdout.decode()
    assert chain_of(D[:2]) == f"sha256:{shown.split()[0]}"
    assert chain_of(D[:1]) == D[0]
