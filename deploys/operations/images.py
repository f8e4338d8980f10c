"""Image archives in the folder from which k3s imports and pins them, at its start and whenever one appears."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable
from pathlib import Path

from binderbox import layout
from binderbox.artifacts.resolve import Artifact
from binderbox.deploys.operations import artifacts, files


def archive_path(artifact: Artifact) -> str:
    """Where an archive lies on the node; the checksum in its name makes k3s import a new one."""
    suffix = "".join(posixpath.basename(artifact.file or artifact.url or "").partition(".tar")[1:])
    return f"{layout.K3S_IMAGES}/{artifact.name}-{artifact.sha256[:16]}{suffix}"


def archives(wanted: Iterable[Artifact], bundle: Path | None) -> None:
    """One operation for each archive; images without one (from sources) are named in a list that k3s pulls from."""
    listed: list[str] = []
    followed: list[str] = []
    for artifact in wanted:
        if artifact.followed:
            followed += artifact.images
        elif artifact.file or artifact.url:
            artifacts.place(
                name=f"bring images {artifact.name}",
                artifact=artifact,
                bundle=bundle,
                dest=archive_path(artifact),
            )
        else:
            listed += artifact.images
    if followed:  # the same file, with the same text, as the follower writes
        files.content(
            name="list followed images to pull",
            dest=layout.FOLLOWED_IMAGES,
            text="".join(f"{one}\n" for one in followed),
        )
    if listed:
        files.content(
            name="list images to pull",
            dest=f"{layout.K3S_IMAGES}/binderbox.txt",
            text="".join(f"{one}\n" for one in listed),
        )
