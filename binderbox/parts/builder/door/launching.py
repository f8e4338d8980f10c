"""Makes an image that was built launchable without writing it a second time.

The kubelet starts a container from the snapshot that has the name of all layers of its image (the chain ID of the OCI's
image specification). BuildKit has built the very same tree as a snapshot of its own in the same containerd; its own way of
making the image launchable is to read each layer's archive and write its files again, one layer after another. Here the
snapshot of that name is made on top of BuildKit's, with nothing in it. Which of BuildKit's it is stands in BuildKit's records:
it computed the chain ID from that snapshot. docs/decisions/launch-from-the-build.md tells what else was tried.

As long as the image is there, its config's label keeps the snapshot and all below it, whatever BuildKit lets go; when the
image goes, BuildKit's own leases keep what it still has.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from ...events import say
from ...whole import sync
from . import records
from .api import SNAPSHOTTER, AlreadyThere, Api, NotThere
from .bolt import State, Unreadable, look
from .config import DoorConfig
from .containerd import ContainerdError

KEEPS = f"containerd.io/gc.ref.snapshot.{SNAPSHOTTER}"  # on a config: the snapshot that is kept with it
# A call is given up after a minute; a containerd whose disk is slow goes on with what it was asked.
LATE_S = 600.0
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Overlay's mount options have one page for the names of all layers, and this makes one more.
MOST_LAYERS = 120


class Launching:
    """`make` is called for each build; `settle` from time to time, and once after a start."""

    def __init__(self, config: DoorConfig, api: Api) -> None:
        self._records = Path(config.buildkit_records)
        self._blobs = Path(config.containerd_root, "io.containerd.content.v1.content/blobs/sha256")
        self._notes = Path(config.state_dir, "launching")
        self._api = api
        self._under_way: set[str] = set()
        self._made: set[str] = set()
        self._lock = threading.Lock()

    def make(self, built: Mapping[str, Any]) -> str:
        """Have the image launchable; why it cannot be in this way, or an empty text.

        + built: what BuildKit says of an image that it has exported
        """
        key = f"binderbox-{secrets.token_hex(12)}"
        with self._lock:
            self._under_way.add(key)
        try:
            config = str(built["containerimage.config.digest"])
            layers = self._layers(config)
            if len(layers) > MOST_LAYERS:
                return f"it has {len(layers)} layers, and {MOST_LAYERS} fit"
            self._snapshot(config, layers, key)
        except (ContainerdError, Unreadable, OSError, ValueError, KeyError, TypeError) as error:
            return str(error) or repr(error)
        finally:
            with self._lock:
                self._under_way.discard(key)
        return ""

    def settle(self) -> None:
        """Leave what was made to containerd's own rules, and take away what a door that was killed has left half made."""
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        for note in self._notes.iterdir():
            key, _, chain = note.name.partition(".")
            with self._lock:
                if key in self._under_way:
                    continue
            try:
                _quietly(self._api.remove, key)
                _quietly(self._api.let_go, f"sha256:{chain}")
                if key in self._made or time.time() - note.stat().st_mtime > LATE_S:
                    note.unlink()
                    self._made.discard(key)
            except (ContainerdError, OSError) as error:
                say("not-settled", snapshot=note.name, fault=str(error))

    def _note(self, key: str, chain: str) -> None:
        """That both may be there, before they are: a file's name, on the disk when this returns."""
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._notes / f"{key}.{chain.partition(':')[2]}").touch()
        sync(self._notes)

    def _snapshot(self, config: str, layers: Sequence[str], key: str) -> None:
        chain = chain_of(layers)
        self._api.label_content(
            config, KEEPS, chain
        )  # first: what is there may be somebody else's, which goes at any time
        below = look(self._records, lambda state: built_as(state, layers))
        if not below:  # nothing of it was built
            self._api.stat(chain)
            return
        self._note(key, chain)
        self._api.prepare(key, below)
        self._commit(chain, key)

    def _commit(self, chain: str, key: str) -> None:
        with suppress(AlreadyThere):
            self._api.commit(chain, key)
        with self._lock:
            self._made.add(key)

    def _layers(self, config: str) -> Sequence[str]:
        """The digests of its layers' contents, as its config has them."""
        if not DIGEST.fullmatch(config):
            raise ValueError(f"no digest of a config: {config[:100]}")
        found = json.loads((self._blobs / config.partition(":")[2]).read_text())["rootfs"]["diff_ids"]
        if not found or not all(isinstance(one, str) and DIGEST.fullmatch(one) for one in found):
            raise ValueError("it has no layers")
        return list(found)


def _quietly(ask: Callable[[str], None], name: str) -> None:
    """What is not there needs nothing."""
    with suppress(NotThere):
        ask(name)


def chain_of(layers: Sequence[str]) -> str:
    """The name of a tree by the digests of its layers' contents, lowest first: the OCI's image specification, config.md."""
    chain = layers[0]
    for layer in layers[1:]:
        chain = f"sha256:{hashlib.sha256(f'{chain} {layer}'.encode()).hexdigest()}"
    return chain


def built_as(state: State, layers: Sequence[str]) -> str:
    """The snapshot in which BuildKit itself has built these layers; an empty text where there is none.

    The record of a layer that was pulled has for its snapshot one of another record, or none, by what the image says of itself, and
    the name of a step on top of merged layers (`COPY --link`) leaves out what is below (cache/manager.go GetByBlob,
    cache/blobs.go computeChainMetadata). So the name alone says nothing: the record is one that was built, and its own layer and
    those below it are these, to the last.
    """
    wanted = [*reversed(layers)]
    for record in records.named(state, chain_of(layers)):
        if (
            records.is_built(state, record)
            and [*records.layers_down(state, record, MOST_LAYERS + 1)] == wanted
        ):
            return record
    return ""
