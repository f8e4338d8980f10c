"""Writes an image archive: an OCI layout in a tar, whose index.json names each image by the digest that was vouched for.

The same images give the same bytes. Blobs are copied block by block from the files in which they were fetched.
"""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from binderbox.artifacts import manifests
from binderbox.artifacts.archives import BLOBS, IMAGE_NAME, INDEX, LAYOUT, LAYOUT_VERSION, REF_NAME
from binderbox.artifacts.bundling import BundledImage


def write_archive(
    path: Path, images: Sequence[BundledImage], texts: Mapping[str, bytes], blobs: Mapping[str, Path]
) -> None:
    """One archive of these images; `texts` are indexes and manifests, `blobs` all else, both by sha256."""
    described = [_descriptor(image, texts[image.sha256]) for image in images]
    index = {"schemaVersion": 2, "mediaType": manifests.OCI_INDEX, "manifests": described}
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as tar:
        _put(tar, LAYOUT, _json({"imageLayoutVersion": LAYOUT_VERSION}))
        _put(tar, INDEX, _json(index))
        for sha256 in sorted({*texts, *blobs}):
            _put(tar, f"{BLOBS}/{sha256}", texts.get(sha256) or blobs[sha256])


def _descriptor(image: BundledImage, body: bytes) -> dict[str, object]:
    return {
        "mediaType": manifests.media_type(body),
        "digest": f"sha256:{image.sha256}",
        "size": len(body),
        # containerd takes the one, other programs the other
        "annotations": {IMAGE_NAME: image.name, REF_NAME: image.name},
    }


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _put(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(name)
    info.mode = 0o644
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as file:
        tar.addfile(info, file)
