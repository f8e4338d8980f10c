"""Images on the node: as archives in the folder from which k3s imports and pins them, or pulled by their digest.

k3s's own list of images to pull is not used: it looks a `tag@digest` up under another name, pins nothing, pulls again at
each start, and a failure is a line in its log alone.
"""

from __future__ import annotations

import io
import json
import posixpath
from collections.abc import Generator, Iterable
from pathlib import Path

from pyinfra import host
from pyinfra.api import FileUploadCommand, StringCommand, operation

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.deploys.facts.artifacts import ArtifactStates, PulledImages, WholeImages
from binderbox.deploys.operations import artifacts

PULL_S = 2 * 3600


def archive_path(artifact: Artifact) -> str:
    """Where an archive lies on the node; the checksum in its name makes k3s import a new one."""
    suffix = "".join(posixpath.basename(artifact.file or artifact.url or "").partition(".tar")[1:])
    return f"{layout.K3S_IMAGES}/{artifact.name}-{artifact.sha256[: artifacts.SHORT]}{suffix}"


def archives(wanted: Iterable[Artifact], bundle: Path | None) -> None:
    """One operation for each archive that k3s imports, at its start or while it runs."""
    for artifact in _lying(wanted):
        artifacts.place(
            name=f"bring images {artifact.name}",
            artifact=artifact,
            bundle=bundle,
            dest=archive_path(artifact),
            _timeout=artifacts.PLACE_S,
        )


def _lying(wanted: Iterable[Artifact]) -> list[Artifact]:
    """Those that come as an archive; the others are pulled."""
    return [one for one in wanted if one.file or one.url]


def imported_all(wanted: Iterable[Artifact]) -> None:
    """One operation for each archive whose images must be there; containerd is asked once for all of them."""
    lying = _lying(wanted)
    names = tuple(name for one in lying for name in one.images)
    for one in lying:
        imported(
            name=f"have the images of {one.name}",
            archive=archive_path(one),
            images=one.images,
            batch=names,
            _timeout=PULL_S,
        )


@operation()
def imported(archive: str, images: tuple[str, ...], batch: tuple[str, ...] = ()) -> Generator[StringCommand]:
    """Wait until k3s has imported an archive of its folder, and unpack it.

    + images: the names in it
    + batch: names that are asked for along with these
    """
    there = host.get_fact(WholeImages, wanted=batch or images)
    if not set(images).issubset(there):
        yield StringCommand(*artifacts.fetching("archive", archive, *images))


def pulled_all(wanted: Iterable[Artifact]) -> None:
    """One operation for each image that comes from its registry; containerd is asked once for all of them."""
    pairs = {one.name: (one.pull, one.images[0]) for one in wanted if one.pull}
    for name, (exact, image) in pairs.items():
        pulled(
            name=f"pull image {name}",
            exact=exact,
            image=image,
            batch=tuple(pairs.values()),
            _timeout=PULL_S,
        )


@operation()
def pulled(exact: str, image: str, batch: tuple[tuple[str, str], ...] = ()) -> Generator[StringCommand]:
    """Have an image under a name, whole, with its digest, and pinned against image GC.

    + exact: repository@sha256:..., what is pulled
    + image: the name that it is run under
    + batch: pairs of both that are asked for along with this one
    """
    if (exact, image) not in host.get_fact(PulledImages, wanted=batch or ((exact, image),)):
        yield StringCommand(*artifacts.fetching("image", exact, image))


@operation()
def ahead(wanted: Iterable[Artifact]) -> Generator[StringCommand | FileUploadCommand]:
    """Let the node fetch all of these beside the install, in the order of its phases; nothing where all are there."""
    wanted = list(wanted)
    paths = {path_of(one): one for one in wanted if one.url}
    images = [(one.pull, one.images[0]) for one in wanted if one.pull]
    there = host.get_fact(ArtifactStates, wanted={path: one.sha256 for path, one in paths.items()})
    pulled_there = host.get_fact(PulledImages, wanted=images) if images else ()
    words = [["file", str(one.url), one.sha256, path] for path, one in paths.items() if not there[path]]
    words += [["image", *pair] for pair in images if pair not in pulled_there]
    yield from _beside(layout.FETCH_UNIT, layout.FETCH_AHEAD, words)


@operation()
def unpacked_ahead(wanted: Iterable[Artifact]) -> Generator[StringCommand | FileUploadCommand]:
    """Let the node unpack all archives in k3s's folder beside the install, in the order of its phases."""
    lying = _lying(wanted)
    if not lying:  # nothing to ask about: without names containerd would check all that it has
        return
    there = host.get_fact(WholeImages, wanted=tuple(name for one in lying for name in one.images))
    missing = [one for one in lying if not set(one.images).issubset(there)]
    words = [["archive", archive_path(one), *one.images] for one in missing]
    yield from _beside(layout.UNPACK_UNIT, layout.UNPACK_AHEAD, words)


def _beside(unit: str, path: str, words: list[list[str]]) -> Generator[StringCommand | FileUploadCommand]:
    """A unit of the node's own that does what the list says, and is gone then; nothing for an empty one."""
    if not words:
        return
    yield StringCommand("mkdir", "-p", layout.FETCH_RUN)
    yield FileUploadCommand(io.BytesIO(json.dumps(words).encode()), path)
    yield StringCommand("systemctl", "stop", unit, "2>/dev/null", "||", "true")
    run = ["systemd-run", "--quiet", "--collect", f"--unit={unit}", f"--property=RuntimeMaxSec={PULL_S}"]
    yield StringCommand(*run, *artifacts.fetching("ahead", path))


def path_of(artifact: Artifact) -> str:
    """Where an artifact lies on the node: image archives in k3s's folder."""
    return archive_path(artifact) if artifact.name == "k3s-images" else artifacts.path_of(artifact)
