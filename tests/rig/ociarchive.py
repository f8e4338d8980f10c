"""Writes container images without a container engine: an archive is a tar of compressed layers and some JSON.

The archive is an OCI image layout that `docker load` reads too. Layers are compressed here (gzip, level 1), because
what an image is imported with is what a registry gets later: an image from `docker save` is pushed uncompressed.
The same layers and settings give the same bytes.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO

CREATED = "1970-01-01T00:00:00Z"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
BLOCK = 1024 * 1024


@dataclass(frozen=True)
class Layer:
    """One compressed layer: `blob` is the file, `digest` its sha256, `diff_id` that of the tar inside, both in hex."""

    blob: Path
    digest: str
    diff_id: str


@dataclass(frozen=True)
class Image:
    """`settings` are the image config's own: Env, Entrypoint, Cmd, User, WorkingDir ..."""

    reference: str
    layers: tuple[Layer, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)


def compress(tar: BinaryIO, into: Path) -> Layer:
    """Write the layer and what is known of it; `load_layer` finds it again."""
    blob = into / "layer.tar.gz"
    plain = hashlib.sha256()
    with blob.open("wb") as raw, gzip.GzipFile("", "wb", compresslevel=1, fileobj=raw, mtime=0) as packed:
        while block := tar.read(BLOCK):
            plain.update(block)
            packed.write(block)
    (into / "layer.json").write_text(json.dumps({"digest": sha256_of(blob), "diff_id": plain.hexdigest()}))
    return load_layer(into)


def load_layer(directory: Path) -> Layer:
    return Layer(directory / "layer.tar.gz", **json.loads((directory / "layer.json").read_text()))


def files_tar(files: Mapping[str, Path]) -> BinaryIO:
    """A tar of programs, by the path at which the image has them."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for path, source in sorted(files.items()):
            info = tarfile.TarInfo(path.lstrip("/"))
            info.size, info.mode = source.stat().st_size, 0o755
            with source.open("rb") as content:
                tar.addfile(info, content)
    out.seek(0)
    return out


def write_archive(path: Path, images: list[Image]) -> None:
    blobs: dict[str, bytes | Path] = {}
    index, docker = [], []
    for image in images:
        config = _add(blobs, _json(_config(image)))
        layers = []
        for layer in image.layers:
            blobs[layer.digest] = layer.blob
            layers.append(_descriptor(LAYER, layer.digest, layer.blob.stat().st_size))
        manifest = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config, len(blobs[config])),  # type: ignore[arg-type]
            "layers": layers,
        }
        digest = _add(blobs, _json(manifest))
        name = {
            "io.containerd.image.name": image.reference,
            "org.opencontainers.image.ref.name": image.reference,
        }
        described = _descriptor(MANIFEST, digest, len(blobs[digest]))  # type: ignore[arg-type]
        index.append({**described, "annotations": name, "platform": {"architecture": "amd64", "os": "linux"}})
        docker.append(
            {
                "Config": f"blobs/sha256/{config}",
                "RepoTags": [image.reference],
                "Layers": [f"blobs/sha256/{layer.digest}" for layer in image.layers],
            }
        )
    with tarfile.open(path, "w") as tar:
        _put(tar, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))
        _put(tar, "index.json", _json({"schemaVersion": 2, "manifests": index}))
        _put(tar, "manifest.json", _json(docker))
        for digest, blob in sorted(blobs.items()):
            _put(tar, f"blobs/sha256/{digest}", blob)


def sha256_of(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _config(image: Image) -> dict[str, Any]:
    return {
        "created": CREATED,
        "architecture": "amd64",
        "os": "linux",
        "config": dict(image.settings),
        "rootfs": {"type": "layers", "diff_ids": [f"sha256:{layer.diff_id}" for layer in image.layers]},
        "history": [{"created": CREATED, "created_by": "binderbox rig"} for _ in image.layers],
    }


def _descriptor(media_type: str, digest: str, size: int) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{digest}", "size": size}


def _json(value: Any) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()


def _add(blobs: dict[str, bytes | Path], content: bytes) -> str:
    digest = hashlib.sha256(content).hexdigest()
    blobs[digest] = content
    return digest


def _put(tar: tarfile.TarFile, name: str, content: bytes | Path) -> None:
    info = tarfile.TarInfo(name)
    if isinstance(content, bytes):
        info.size = len(content)
        tar.addfile(info, io.BytesIO(content))
        return
    info.size = content.stat().st_size
    with content.open("rb") as file:
        tar.addfile(info, file)
