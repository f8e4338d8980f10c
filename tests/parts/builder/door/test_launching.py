"""An image that was built is launchable from what BuildKit has built it in; containerd is a `ctr` that keeps snapshots as the
real one does: a name once, no parent that is not there, and all that it makes held by a label of its own."""

from __future__ import annotations

import gzip
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from binderbox.parts.builder.door.bolt import State
from binderbox.parts.builder.door.containerd import Images
from binderbox.parts.builder.door.launching import MOST_LAYERS, Launching, built_as, chain_of

from .conftest import RunningDoor, events_in, make_config
from .test_bolt import CHAIN, LAYERS, RECORDED, SNAPSHOT

CTR = """\
#!{python}
import fcntl, json, os, sys
path = {state!r} + "/containerd.json"
words = [word for word in sys.argv[1:] if not word.startswith("--")]
fcntl.flock(os.open(path + ".lock", os.O_CREAT | os.O_RDWR), fcntl.LOCK_EX)  # some are run beside each other
held = json.load(open(path))
snapshots, content = held["snapshots"], held["content"]

def fail(why):
    sys.exit(f"ctr: {{why}}")

def needs(name):
    return snapshots.get(name) or fail(f"snapshot {{name}} does not exist: not found")

if os.path.exists({state!r} + "/down-at-" + words[1]):
    fail("failed to dial: connection refused")
match words:
    case ["snapshots", "info", name]:
        needs(name)
    case ["snapshots", "prepare", name, parent]:
        needs(parent)
        if name in snapshots: fail(f"snapshot {{name}}: already exists")
        snapshots[name] = {{"parent": parent, "kind": "Active", "root": True}}
    case ["snapshots", "commit", name, active]:
        if name in snapshots: fail(f"snapshot {{name}}: already exists")
        snapshots[name] = needs(active) | {{"kind": "Committed", "root": True}}
        del snapshots[active]
    case ["snapshots", "remove", name]:
        needs(name)
        if any(one["parent"] == name for one in snapshots.values()): fail("cannot remove snapshot with child")
        del snapshots[name]
    case ["snapshots", "label", name, "containerd.io/gc.root="]:
        needs(name)["root"] = False
    case ["content", "label", digest, label]:
        if digest not in content: fail(f"content {{digest}}: not found")
        content[digest] = label
    case _:
        fail(f"what is {{words}}?")
with open(path, "w") as file: json.dump(held, file)
"""
BUILT: dict[str, Any] = {"containerimage.config.digest": "sha256:" + "c" * 64}


class Node:
    """What a node has after a build: BuildKit's records, the image's content, and its snapshots."""

    def __init__(self, state: Path) -> None:
        self.state = state
        (state / "metadata_v2.db").write_bytes(gzip.decompress(RECORDED.read_bytes()))
        self.layers(LAYERS)
        self.has(SNAPSHOT)
        ctr = state / "ctr"
        ctr.write_text(CTR.format(python=sys.executable, state=str(state)))
        ctr.chmod(0o755)
        config = replace(make_config(state), ctr=(str(ctr),))
        self.launching = Launching(config, Images(config))

    def layers(self, digests: tuple[str, ...]) -> None:
        blobs = self.state / "containerd/io.containerd.content.v1.content/blobs/sha256"
        blobs.mkdir(parents=True, exist_ok=True)
        (blobs / ("c" * 64)).write_text(json.dumps({"rootfs": {"diff_ids": list(digests)}}))

    def has(self, *snapshots: str) -> None:
        made = {name: {"parent": "", "kind": "Committed", "root": False} for name in snapshots}
        held = {"snapshots": made, "content": {"sha256:" + "c" * 64: ""}}
        (self.state / "containerd.json").write_text(json.dumps(held))

    @property
    def held(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.state / "containerd.json").read_text())
        return found

    def down_at(self, verb: str) -> Path:
        path = self.state / f"down-at-{verb}"
        path.touch()
        return path

    def later(self) -> None:
        """When containerd has done or forgotten whatever it was asked."""
        for name in self.notes:
            os.utime(self.state / "launching" / name, (1, 1))
        self.launching.settle()

    @property
    def notes(self) -> list[str]:
        return os.listdir(self.state / "launching")


@pytest.fixture
def node(state: Path) -> Node:
    return Node(state)


def test_the_launch_has_a_snapshot_on_top_of_buildkits_own(node: Node) -> None:
    assert node.launching.make(BUILT) == ""
    made = node.held["snapshots"]
    assert made.keys() == {SNAPSHOT, CHAIN}
    assert made[CHAIN] == {"parent": SNAPSHOT, "kind": "Committed", "root": True}
    assert node.held["content"] == {"sha256:" + "c" * 64: f"containerd.io/gc.ref.snapshot.overlayfs={CHAIN}"}
    node.launching.settle()
    assert not node.held["snapshots"][CHAIN]["root"], (
        "the image's own label keeps it, and it goes with the image"
    )
    assert node.notes == []


def test_what_is_there_already_is_taken(node: Node) -> None:
    """The same tree, built before or pulled."""
    node.has(SNAPSHOT, CHAIN)
    assert node.launching.make(BUILT) == ""
    node.launching.settle()
    assert node.held["snapshots"].keys() == {SNAPSHOT, CHAIN}
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
    assert node.held["snapshots"].keys() == {other}


def test_buildkit_may_have_let_go_of_it(node: Node) -> None:
    node.has()
    assert f"snapshot {SNAPSHOT} does not exist" in node.launching.make(BUILT)
    node.launching.settle()
    assert node.held["snapshots"] == {}


@pytest.mark.parametrize("verb", ["prepare", "commit", "label"])
def test_a_containerd_that_is_away_for_a_moment_leaves_nothing_behind(node: Node, verb: str) -> None:
    down = node.down_at(verb)
    assert "connection refused" in node.launching.make(BUILT)
    node.launching.settle()
    down.unlink()
    node.launching.settle()
    assert not any(one["root"] for one in node.held["snapshots"].values())
    assert node.held["snapshots"].keys() - {SNAPSHOT, CHAIN} == set()
    node.later()
    assert node.notes == []
    assert node.launching.make(BUILT) == ""


@pytest.mark.parametrize("verb", ["prepare", "commit"])
def test_a_door_that_was_killed_in_it_leaves_it_to_the_next_one(
    node: Node, verb: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Until `settle` knows better, what was made is held, and so is all of BuildKit's below it."""

    def killed_after(self: Images, words: list[str]) -> str:
        self._ctr(["snapshots", *words], 60)
        if words[0] == verb:
            raise KeyboardInterrupt
        return ""

    monkeypatch.setattr(Images, "snapshots", killed_after)
    with pytest.raises(KeyboardInterrupt):
        node.launching.make(BUILT)
    monkeypatch.undo()
    assert any(one["root"] for one in node.held["snapshots"].values())
    node.launching.settle()
    assert not any(one["root"] for one in node.held["snapshots"].values())
    assert node.held["snapshots"].keys() <= {SNAPSHOT, CHAIN}
    node.later()
    assert node.notes == []


def test_what_containerd_makes_late_goes_too(node: Node) -> None:
    """Its disk was slow, `ctr` was given up, and it went on with what it had been asked."""
    down = node.down_at("prepare")
    assert "connection refused" in node.launching.make(BUILT)
    down.unlink()
    node.launching.settle()
    (note,) = node.notes
    held = node.held
    held["snapshots"][note.partition(".")[0]] = {"parent": SNAPSHOT, "kind": "Active", "root": True}
    (node.state / "containerd.json").write_text(json.dumps(held))
    node.launching.settle()
    assert node.held["snapshots"].keys() == {SNAPSHOT}
    assert node.notes == [note]


def test_what_is_there_may_go_until_the_image_keeps_it(node: Node) -> None:
    node.has(SNAPSHOT, CHAIN)
    node.down_at("label")
    assert "connection refused" in node.launching.make(BUILT)
    assert len(node.held["snapshots"]) == 3, "nothing was committed before the image's label was there"


def test_what_is_being_made_is_not_settled(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    snapshots: Callable[[Images, list[str]], str] = Images.snapshots

    def settled_meanwhile(self: Images, words: list[str]) -> str:
        if words[0] == "commit":
            node.launching.settle()
        return snapshots(self, words)

    monkeypatch.setattr(Images, "snapshots", settled_meanwhile)
    assert node.launching.make(BUILT) == ""
    assert node.held["snapshots"][CHAIN]["root"]


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
    assert node.held["snapshots"].keys() == {SNAPSHOT}


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
