"""What lies inside an image archive, an OCI layout in a tar: looked into before containerd sees it.

containerd takes every name that `index.json` says, and reads tar and JSON more kindly than Python does. What could be
read in two ways is a fault: another name for a file, a key that stands there twice, anything after the end.
"""

from __future__ import annotations

import hashlib
import json
import re
import tarfile
import zlib
from collections.abc import Mapping
from lzma import LZMAError
from typing import Any, BinaryIO

from binderbox.artifacts import manifests
from binderbox.artifacts.statements import MANIFEST_MB

LAYOUT, INDEX, DOCKER = "oci-layout", "index.json", "manifest.json"
BLOBS = "blobs/sha256"
LAYOUT_VERSION = "1.0.0"
IMAGE_NAME, REF_NAME = "io.containerd.image.name", "org.opencontainers.image.ref.name"
BLOCK = 1 << 20
_BLOB = re.compile(rf"{BLOBS}/([0-9a-f]{{64}})")
_UNREADABLE = (tarfile.TarError, OSError, EOFError, zlib.error, LZMAError)


def faults(file: BinaryIO, images: Mapping[str, str | None]) -> list[str]:
    """What is wrong with an archive that shall hold exactly these images: name to its manifest's sha256, None if unknown.

    Every blob is hashed, block by block; an index may lack the manifests of all architectures but one.
    """
    try:
        file.seek(0)
        with tarfile.open(fileobj=file, mode="r:*") as tar:
            archive = _Archive(tar)
            return archive.faults or archive.image_faults(images)
    except _UNREADABLE as error:
        return [f"is no tar archive that can be read to its end: {error}"]


class _Archive:
    """An opened one; `faults` are those of its members."""

    def __init__(self, tar: tarfile.TarFile) -> None:
        self.faults: list[str] = []
        self._tar = tar
        self._members: dict[str, tarfile.TarInfo] = {}
        for member in tar:
            if not (member.isdir() and member.name in ("blobs", BLOBS)):
                self._take(member)
        assert tar.fileobj is not None
        tar.fileobj.seek(tar.offset)
        while block := tar.fileobj.read(BLOCK):
            if block.strip(b"\0"):
                self.faults.append("something stands after its end")
                break

    def _take(self, member: tarfile.TarInfo) -> None:
        blob = _BLOB.fullmatch(member.name)
        if blob is None and member.name not in (LAYOUT, INDEX, DOCKER):
            self.faults.append(f"{member.name!r} is no file of an image archive")
        elif not member.isreg() or member.issparse() or member.pax_headers:
            self.faults.append(f"{member.name} is no plain file")
        elif member.name in self._members:
            self.faults.append(f"{member.name} stands twice")
        elif blob is not None and (found := self._sum(member)) != blob[1]:
            self.faults.append(f"{member.name}: its sha256 is {found}")
        self._members[member.name] = member

    def _sum(self, member: tarfile.TarInfo) -> str:
        digest = hashlib.sha256()
        file = self._tar.extractfile(member)
        while file is not None and (block := file.read(BLOCK)):
            digest.update(block)
        return digest.hexdigest()

    def image_faults(self, images: Mapping[str, str | None]) -> list[str]:
        """Of the images in it, once its members are known to be what they are called."""
        try:
            version = _strictly(self._read(LAYOUT))["imageLayoutVersion"]
            if version != LAYOUT_VERSION:
                return [f"{LAYOUT}: expected version {LAYOUT_VERSION}, found {version!r}"]
            described = _strictly(self._read(INDEX))["manifests"]
            named = [(_name_of(one), one) for one in described]
            tagged = [tag for one in self._docker() for tag in one["RepoTags"] or []]
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            return [f"{INDEX} and {LAYOUT} cannot be read: {type(error).__name__} {error}"]
        found = [f"{name} is not in it" for name in images if name not in dict(named)]
        found += [f"{DOCKER} names {tag}, which is not to be in it" for tag in tagged if tag not in images]
        seen: set[str] = set()
        for name, one in named:
            if name not in images:
                found.append(f"{INDEX} names {name or 'an image without a name'}, which is not to be in it")
            elif name in seen:
                found.append(f"{INDEX} names {name} twice")
            else:
                found += self._one(name, one, images[name])
            seen.add(name)
        return found

    def _docker(self) -> list[Any]:
        """docker's own list beside the layout; containerd does not read it then."""
        return list(_strictly(self._read(DOCKER))) if DOCKER in self._members else []

    def _one(self, name: str, described: Any, sha256: str | None) -> list[str]:
        try:
            (top,) = manifests.children(json.dumps({"manifests": [described]}).encode())
            if sha256 is not None and top.sha256 != sha256:
                return [f"{name}: expected sha256:{sha256}, found sha256:{top.sha256}"]
            if missing := self._lacks(top):
                return [f"{name}: {missing}"]
            body = self._read(f"{BLOBS}/{top.sha256}")
            of_architectures = [body]
            if manifests.is_index(body):
                there = [one for one in manifests.children(body) if not self._lacks(one)]
                if not there:
                    return [f"{name}: no manifest of its index is there"]
                of_architectures = [self._read(f"{BLOBS}/{one.sha256}") for one in there]
            parts = {part for one in of_architectures for part in manifests.children(one)}
        except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
            return [f"{name}: its manifest cannot be read: {type(error).__name__} {error}"]
        return [f"{name}: {missing}" for part in parts if (missing := self._lacks(part))]

    def _lacks(self, blob: manifests.Blob) -> str:
        member = self._members.get(f"{BLOBS}/{blob.sha256}")
        if member is None:
            return f"sha256:{blob.sha256} is missing"
        return "" if member.size == blob.size else f"sha256:{blob.sha256} is not {blob.size} bytes long"

    def _read(self, name: str) -> bytes:
        member = self._members.get(name)
        if member is None or member.size > MANIFEST_MB * 1_000_000:
            raise ValueError(f"{name} is {'missing' if member is None else 'too long'}")
        file = self._tar.extractfile(member)
        return file.read() if file is not None else b""


def _name_of(described: Any) -> str:
    notes = described.get("annotations") or {}
    return str(notes.get(IMAGE_NAME) or notes.get(REF_NAME) or "")


def _strictly(text: bytes) -> Any:
    """JSON as Go reads it, too: there `Manifests` is another spelling of `manifests`, and the last one counts."""
    return json.loads(text.decode(), object_pairs_hook=_unique)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len({key.casefold() for key, _ in pairs}) != len(pairs):
        raise ValueError("a key stands there twice")
    return dict(pairs)
