"""What the manifest of an image says: which manifest is of one architecture, and which blobs belong to an image.

Raises ValueError with what was expected and what was found; whoever asked knows of which image.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

OCI_INDEX, OCI_MANIFEST = (
    "application/vnd.oci.image.index.v1+json",
    "application/vnd.oci.image.manifest.v1+json",
)
DIGEST = re.compile(r"sha256:([0-9a-f]{64})")


@dataclass(frozen=True)
class Blob:
    """One part of an image; `sha256` in hex."""

    sha256: str
    size: int


def media_type(body: bytes) -> str:
    """What it says it is; an OCI manifest need not say so."""
    found = _read(body)
    return str(found.get("mediaType") or (OCI_INDEX if "manifests" in found else OCI_MANIFEST))


def is_index(body: bytes) -> bool:
    """Whether it is the index of several architectures' manifests."""
    return "manifests" in _read(body)


def children(body: bytes) -> list[Blob]:
    """Of an index its manifests, else the config and the layers."""
    found = _read(body)
    if "manifests" in found:
        return [_blob(one) for one in found["manifests"]]
    if "config" not in found or not isinstance(found.get("layers"), list):
        raise ValueError(f"expected a manifest with config and layers, found {', '.join(sorted(found))}")
    return [_blob(found["config"]), *map(_blob, found["layers"])]


def of_architecture(body: bytes, arch: str) -> Blob:
    """Of an index the manifest for Linux on `arch`: the plain one before those of variants."""
    platforms = [(one.get("platform") or {}, one) for one in _read(body)["manifests"]]
    fit = [
        (str(platform.get("variant", "")), one)
        for platform, one in platforms
        if (platform.get("os"), platform.get("architecture")) == ("linux", arch)
    ]
    if not fit:
        there = sorted({f"{one.get('os')}/{one.get('architecture')}" for one, _ in platforms})
        raise ValueError(f"expected an image for linux/{arch}, found {', '.join(there) or 'none'}")
    return _blob(min(fit, key=lambda pair: pair[0])[1])


def _blob(described: Any) -> Blob:
    digest, size = described["digest"], described["size"]
    named = DIGEST.fullmatch(digest)
    if named is None or not isinstance(size, int) or size < 0:
        raise ValueError(f"expected a sha256 and a size, found {digest!r} and {size!r}")
    return Blob(named[1], size)


def _read(body: bytes) -> dict[str, Any]:
    found = json.loads(body.decode())
    if not isinstance(found, dict):
        raise ValueError("expected a manifest, found JSON that is no object")
    return found
