"""What a bundle is to have in it: which files, what each must be, and the lock that says so. Decides only."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from binderbox.artifacts.resolve import Artifact, has_tables, is_inside
from binderbox.artifacts.statements import file_of
from binderbox.artifacts.versions import Pin


@dataclass(frozen=True)
class BundledImage:
    """An image in an archive: its name there, which is its source, and the sha256 of its manifest."""

    name: str
    sha256: str


@dataclass(frozen=True)
class BundlePart:
    """One file of a bundle. A file has a sum; an archive has images, whose sums count, not that of the archive."""

    pin: Pin
    file: str
    trust: str
    sha256: str = ""
    images: tuple[BundledImage, ...] = ()


def wanted(pins: Mapping[str, Pin]) -> list[Pin]:
    """Those that a bundle has a file for, in the order of versions.toml."""
    return [pin for pin in pins.values() if not has_tables(pin, pins)]


def file_names(pins: Mapping[str, Pin]) -> dict[str, str]:
    """Each artifact's file: as its publisher calls it, where that is plain and nobody else's, else by its own name."""
    called = {
        pin.name: f"{pin.name}.tar" if pin.kind == "image" else file_of(pin.source) for pin in wanted(pins)
    }
    times = Counter(called.values())
    return {
        name: file if is_inside(file) and "/" not in file and times[file] == 1 else name
        for name, file in called.items()
    }


def parts(pins: Mapping[str, Pin], artifacts: Mapping[str, Artifact]) -> list[BundlePart]:
    """What each file must be, once every artifact has somebody who vouches for it.

    An image lies there under its tag, also where an install from the Internet runs it by its digest: k3s reads a tag from
    the name of each image that it imports, and calls an archive without one failed, imports it again at each start, and
    names an image by its digest itself (pkg/agent/containerd/containerd.go, retagImages, since k3s-io/k3s#13221).
    """
    files = file_names(pins)
    found = []
    for pin in wanted(pins):
        if pin.kind != "image":
            found.append(
                BundlePart(pin, files[pin.name], artifacts[pin.name].trust, artifacts[pin.name].sha256)
            )
            continue
        of = [one for one in artifacts.values() if one.of == pin.images_of] if pin.images_of else []
        images = of or [artifacts[pin.name]]
        found.append(
            BundlePart(
                pin,
                files[pin.name],
                images[0].trust,
                images=tuple(BundledImage(one.source, one.sha256) for one in images),
            )
        )
    return found


def render_lock(found: Sequence[BundlePart], sums: Mapping[str, str]) -> str:
    """The text of the lock; `sums` are of the files, by name. The same files give the same text."""
    lock = {"schema": 1, "artifacts": [_entry(part, sums[part.file]) for part in found]}
    return json.dumps(lock, indent=2, sort_keys=True) + "\n"


def _entry(part: BundlePart, sha256: str) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "name": part.pin.name,
        "kind": part.pin.kind,
        "file": part.file,
        "sha256": sha256,
        "source": part.pin.source,
        "version": part.pin.version,
        "images": [image.name for image in part.images],
        "features": list(part.pin.features),
    }
    return {key: value for key, value in entry.items() if value != []}
