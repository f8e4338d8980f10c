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
import os
import re
import secrets
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from ...events import say
from .bolt import State, Unreadable, look
from .config import DoorConfig
from .containerd import ContainerdError, Images

KEEPS = "containerd.io/gc.ref.snapshot.overlayfs"  # on a config: the snapshot that is kept with it
ROOT = "containerd.io/gc.root"  # on a snapshot: it is nobody's to take away; ctr puts it on all that it makes
BUILT_HERE = re.compile(
    r"[a-z0-9]{25}"
)  # what BuildKit pulls has a name by its content, and a stranger's word for what that is
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# Overlay's mount options have one page for the names of all layers, and this makes one more.
MOST_LAYERS = 120


class Launching:
    """`make` is called for each build; `settle` from time to time, and once after a start."""

    def __init__(self, config: DoorConfig, images: Images) -> None:
        self._records = Path(config.buildkit_records)
        self._blobs = Path(config.containerd_root, "io.containerd.content.v1.content/blobs/sha256")
        self._notes = Path(config.state_dir, "launching")
        self._images = images
        self._under_way: set[str] = set()
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
            chain = chain_of(layers)
            with ThreadPoolExecutor(1) as beside:
                kept = beside.submit(self._images.label_content, config, f"{KEEPS}={chain}")
                self._snapshot(chain, key)
                kept.result()
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
                self._quietly(["remove", key])
                self._quietly(["label", f"sha256:{chain}", f"{ROOT}="])
                note.unlink()
            except (ContainerdError, OSError) as error:
                say("not-settled", snapshot=note.name, fault=str(error))

    def _note(self, key: str, chain: str) -> None:
        """That both may be there, before they are: a file's name, on the disk when this returns."""
        self._notes.mkdir(mode=0o700, parents=True, exist_ok=True)
        (self._notes / f"{key}.{chain.partition(':')[2]}").touch()
        directory = os.open(self._notes, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)

    def _snapshot(self, chain: str, key: str) -> None:
        below = look(self._records, lambda state: built_as(state, chain))
        if not below:  # all of it was there before the build
            self._images.snapshots(["info", chain])
            return
        self._note(key, chain)
        self._images.snapshots(["prepare", key, below])
        try:
            self._images.snapshots(["commit", chain, key])
        except ContainerdError as error:
            if "already exists" not in str(error):
                raise

    def _layers(self, config: str) -> Sequence[str]:
        """The digests of its layers' contents, as its config has them."""
        if not DIGEST.fullmatch(config):
            raise ValueError(f"no digest of a config: {config[:100]}")
        found = json.loads((self._blobs / config.partition(":")[2]).read_text())["rootfs"]["diff_ids"]
        if not found or not all(isinstance(one, str) and DIGEST.fullmatch(one) for one in found):
            raise ValueError("it has no layers")
        return list(found)

    def _quietly(self, words: list[str]) -> None:
        """What is not there needs nothing."""
        try:
            self._images.snapshots(words)
        except ContainerdError as error:
            if "not found" not in str(error):
                raise


def chain_of(layers: Sequence[str]) -> str:
    """The name of a tree by the digests of its layers' contents, lowest first: the OCI's image specification, config.md."""
    chain = layers[0]
    for layer in layers[1:]:
        chain = f"sha256:{hashlib.sha256(f'{chain} {layer}'.encode()).hexdigest()}"
    return chain


def built_as(state: State, chain: str) -> str:
    """The snapshot in which BuildKit itself has built what has this name; an empty text where there is none.

    The keys are those of BuildKit 0.32's cache/metadata.go. A record of a layer that was pulled may claim any name: BuildKit
    takes a base image's word for what is in its layers.
    """
    for key, _ in state.items((b"_index",), f"chainid:{chain}::".encode()):
        record = key.rpartition(b"::")[2]
        values = dict(state.items((b"_main", record), b"cache."))

        def told(name: bytes, values: Mapping[bytes, bytes] = values) -> Any:
            return json.loads(values[name])["value"] if values.get(name) else None  # what is cleared is empty

        snapshot = str(told(b"cache.snapshot") or record.decode())
        gone = told(b"cache.deleted") or told(b"cache.blobonly")
        if told(b"cache.chainID") == chain and not gone and BUILT_HERE.fullmatch(snapshot):
            return snapshot
    return ""
