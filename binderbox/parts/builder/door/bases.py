"""Sees that the layers that BuildKit pulls are what their images say they are.

BuildKit 0.32 gives what it unpacks the name that the image's config claims, and never compares (cache/refs.go unlazyLayer drops
the digest that it is told); and where something has that name already, it takes that for the next image's layer
(cache/manager.go GetByBlob), as containerd does. So who comes first with a base image that claims to be another one
would have his files in everybody's builds on that other one. Here each archive that was pulled is read once and compared, before
any build that ran meanwhile is answered. docs/decisions/bases-are-compared.md tells what follows from a lie.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import subprocess
import threading
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

from ...events import say
from ...telling import Telling
from ...whole import replace
from . import records
from .bolt import State, Unreadable, look
from .config import DoorConfig
from .containerd import ContainerdError, Images
from .launching import DIGEST, chain_of
from .reasons import AGAIN
from .records import Layer

READ_S = 300  # one archive; what takes longer is none
TIMES, AT_LEAST = 50, 2 * 10**9  # what an archive may hold: so many times its own bytes, or so many
MOST_REMEMBERED = 20_000  # archives
MOST_JSON = 4 << 20  # a manifest's or a config's bytes, as registries have it
PRUNE_EVERY_S = 10.0
MOST_OVER = 1000
FORGET_S = 4 * 3600.0  # no build runs so long
PROGRAMS = {b"\x1f\x8b": ("gzip", "-dc"), b"\x28\xb5\x2f\xfd": ("zstd", "-dcq")}


@dataclass(frozen=True)
class Lie:
    """A record whose archive holds something else than it claims. Times in seconds since 1970.

    + image: with which it was pulled; left: when that was made what may be its, which has the name that it claims
    + mixed_up: whether others may have got it under that name; over_at: when nothing of it was left, 0 before
    """

    record: str
    chain: str
    diff_id: str
    image: str
    made_at: float
    left: str = ""
    mixed_up: bool = False
    over_at: float = 0.0


class Bases:
    """`look` reads what is new; `judge` says of one build whether it may be answered as built.

    + run: runs a program of the node to its end, and says whether that was well
    """

    def __init__(
        self, config: DoorConfig, images: Images, telling: Telling, run: Callable[[Sequence[str]], bool]
    ) -> None:
        self._records = Path(config.buildkit_records)
        self._blobs = Path(config.containerd_root, "io.containerd.content.v1.content/blobs/sha256")
        self._prune = (config.buildctl, "--addr", config.buildkit_address, "prune", "--all")
        self._path = Path(config.state_dir, "bases.json")
        self._platform = config.platform
        self._images = images
        self._telling = telling
        self._run = run
        self._following = threading.Lock()
        self._changed = threading.Condition()
        self._compared, self._lies = _read(self._path)  # archives, and what they hold
        self._known: set[str] = set()  # records that need no second look
        self._reading: set[str] = set()  # archives
        self._kept: object = None
        self._pruned = -PRUNE_EVERY_S

    @property
    def lies(self) -> bool:
        """Whether something is left of one."""
        return any(not one.over_at for one in self._lies)

    def judge(self, images: Collection[str], known: bool, began: float) -> str:
        """Why a build on these images is not answered as built; an empty text where nothing is against it.

        + images: NAME@DIGEST of each that it was made from; `known` is whether BuildKit has said which
        + began: when it did, in seconds since 1970
        """
        chains = self._chains(images) if known else None
        try:
            for one in self._new():
                # Others are not waited for: an archive may be made to take minutes.
                if chains is None or one.chain in chains or any(_same(image, images) for image in one.images):
                    self._compare(one)
            self._follow()
        except (Unreadable, ContainerdError, OSError, ValueError, KeyError, TypeError) as error:
            say("not-compared", fault=str(error) or repr(error))
            return f"Whether its base images are what they say could not be seen. {AGAIN}"
        for lie in (one for one in self._lies if not one.over_at or one.over_at >= began):
            if _same(lie.image, images):
                return f"The base image {lie.image} is not what it says it is: its layer {lie.diff_id} holds something else."
            if lie.mixed_up and (chains is None or lie.chain in chains):
                return f"Another image has claimed to be a base image of this build. What it left is being removed. {AGAIN}"
        return ""

    def look(self) -> None:
        """Compare what was pulled since, and have BuildKit let go of what lies. Raises Unreadable, ContainerdError, OSError."""
        for one in self._new():
            self._compare(one)
        self._follow()

    def _new(self) -> list[Layer]:
        """What was pulled and is here, and was not compared."""
        with self._changed:
            known, compared = set(self._known), dict(self._compared)

        def read(state: State) -> tuple[set[str], list[Layer]]:
            there = {record for _, record in records.named(state)}
            return there, [one for one in (records.layer(state, name) for name in there - known) if one]

        there, found = look(self._records, read)
        done = {one.record for one in found if one.built or compared.get(one.blob) == one.diff_id}
        with self._changed:
            self._known = (self._known & there) | done
        return [one for one in found if one.record not in done and self._file(one.blob).exists()]

    def _chains(self, images: Collection[str]) -> set[str] | None:
        """The names of all layers of these images, by their own configs; None where one of them is not here any more.

        BuildKit's records do not tell: a build may have got another image's record, since that has the same name.
        """
        try:
            configs = [one for image in images for one in self._configs(image.rpartition("@")[2])]
            layers = [self._json(one)["rootfs"]["diff_ids"] for one in configs]
            return {chain_of(one[: count + 1]) for one in layers for count in range(len(one))}
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    def _configs(self, digest: str) -> list[str]:
        """Of an image's manifest, or of those in a list of them that are for this node."""
        found = self._json(digest)
        if "manifests" not in found:
            return [str(found["config"]["digest"])]
        system, _, architecture = self._platform.partition("/")
        wanted = {"os": system, "architecture": architecture}
        mine = [
            one["digest"] for one in found["manifests"] if wanted.items() <= one.get("platform", {}).items()
        ]
        here = [one for one in mine if self._file(one).exists()]
        if not here:
            raise ValueError(f"none of {digest} is here")
        return [config for one in here for config in self._configs(one)]

    def _json(self, digest: str) -> Any:
        with self._file(digest).open("rb") as file:
            return json.loads(file.read(MOST_JSON))

    def _compare(self, layer: Layer) -> None:
        """Once, whoever comes first; the others wait for it."""
        with self._changed:
            self._changed.wait_for(lambda: layer.blob not in self._reading)
            if self._compared.get(layer.blob) == layer.diff_id or any(
                one.record == layer.record for one in self._lies
            ):
                return
            self._reading.add(layer.blob)
        content: str | None = None
        try:
            content = content_of(self._file(layer.blob))
        finally:
            with self._changed:
                self._reading.discard(layer.blob)
                if content is not None:
                    self._learn(layer, content)
                self._changed.notify_all()

    def _learn(self, layer: Layer, content: str) -> None:
        if content == layer.diff_id:
            self._compared[layer.blob] = content
            while len(self._compared) > MOST_REMEMBERED:
                self._compared.pop(next(iter(self._compared)))
            return
        image = (*layer.images, "an image")[0]
        self._lies.append(Lie(layer.record, layer.chain, layer.diff_id, image, layer.made_at))
        say("base-lied", image=image, layer=layer.diff_id, blob=layer.blob)
        self._telling.tell("base-lied", f"{image} is not what it says it is")

    def _follow(self) -> None:
        """See what became of lies, have them let go, and keep what is known."""
        with self._following:
            lies, late = list(self._lies), time.time() - FORGET_S
            over = [one for one in lies if one.over_at > late][-MOST_OVER:]
            due = time.monotonic() - self._pruned >= PRUNE_EVERY_S
            now = [self._followed(one, due) for one in lies if not one.over_at]
            if now and due:
                self._pruned = time.monotonic()
            with self._changed:
                self._lies = [*over, *now, *self._lies[len(lies) :]]
                kept = {"compared": dict(self._compared), "lies": [asdict(one) for one in self._lies]}
            if kept != self._kept:
                replace(self._path, kept)
                self._kept = kept

    def _file(self, digest: str) -> Path:
        if not DIGEST.fullmatch(digest):
            raise ValueError(f"no digest: {digest[:100]}")
        return self._blobs / digest.partition(":")[2]

    def _followed(self, lie: Lie, due: bool) -> Lie:
        """With what is known of it now; where it is `due` what lies, what may be its, and all on top of that is pruned, or it is over.

        Where something had the name before, that is what everybody gets. While nothing has it yet, nobody knows whose it will be.
        """
        made, there = self._made(lie), look(self._records, lambda state: self._of_that_name(state, lie))
        lying = any(one.record == lie.record for one in there)
        if lying and not lie.left and made and _seconds(made) >= lie.made_at:
            lie = dataclasses.replace(lie, left=made)
        mixed_up = made == lie.left if made else lying
        lie = dataclasses.replace(lie, mixed_up=lie.mixed_up or mixed_up)
        gone = [one.record for one in there if mixed_up or one.record == lie.record]
        if due and gone:
            every = look(self._records, partial(records.on_top_of, wanted=gone))
            self._run([*self._prune, *(word for one in every for word in ("--filter", f"id=={one}"))])
        elif due and not mixed_up:
            say("lie-gone", image=lie.image)
            return dataclasses.replace(lie, over_at=time.time())
        return lie

    def _of_that_name(self, state: State, lie: Lie) -> list[Layer]:
        found = (records.layer(state, record) for _, record in records.named(state, lie.chain))
        return [one for one in found if one]

    def _made(self, lie: Lie) -> str:
        """When containerd made the snapshot that has the name; empty where there is none."""
        try:
            return str(json.loads(self._images.snapshots(["info", lie.chain]))["Created"])
        except ContainerdError as error:
            if "not found" in str(error):
                return ""
            raise


def content_of(path: Path) -> str:
    """The digest of what an archive holds; empty where it cannot be read to its end, or not in time."""
    with path.open("rb", buffering=0) as file:
        start = file.read(4)
        words = next((words for magic, words in PROGRAMS.items() if start.startswith(magic)), ("cat",))
        file.seek(0)
        with subprocess.Popen(
            words, stdin=file, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
        ) as process:
            assert process.stdout is not None
            deadline, digest = time.monotonic() + READ_S, hashlib.sha256()
            left = max(TIMES * path.stat().st_size, AT_LEAST)
            while piece := process.stdout.read(1 << 20):
                digest.update(piece)
                left -= len(piece)
                if time.monotonic() > deadline or left < 0:
                    process.kill()
            return f"sha256:{digest.hexdigest()}" if process.wait() == 0 else ""


def _same(image: str, images: Collection[str]) -> bool:
    """By its name with its tag, or by its digest."""
    name, _, digest = image.partition("@")
    return any(one.partition("@")[0] == name or one.partition("@")[2] == digest for one in images)


def _seconds(text: str) -> float:
    """Of Go's RFC 3339, whose nanoseconds Python 3.10 does not read; to the microsecond."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(f"{whole}+00:00").timestamp() + float(f"0.{fraction or 0}")


def _read(path: Path) -> tuple[dict[str, str], list[Lie]]:
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept: Any = json.loads(path.read_text())
        return dict(kept["compared"]), [Lie(**one) for one in kept["lies"]]
    return {}, []
