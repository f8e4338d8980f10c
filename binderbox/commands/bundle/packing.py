"""Image archives, one after the other: fetches the blobs of each, writes it, and drops what no later one needs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from binderbox.artifacts import manifests
from binderbox.artifacts.bundling import BundledImage, BundlePart
from binderbox.artifacts.statements import Unstated
from binderbox.commands.bundle import inside
from binderbox.commands.bundle.bringing import bring
from binderbox.commands.bundle.registry import Contents, Registry
from binderbox.commands.bundle.writing import write_archive
from binderbox.errors import BundleError, NoAnswer
from binderbox.output.progress import Progress

GB = 1_000_000_000
Blobs = dict[manifests.Blob, BundledImage]
"""Each blob with one image whose repository has it."""


@dataclass(frozen=True)
class Packing:
    directory: Path
    filling: Path
    arch: str
    registry: Registry
    progress: Progress

    def pack(self, parts: Sequence[BundlePart]) -> int:
        """Have all these archives; the number of those that were made. Raises BundleError."""
        missing = [part for part in parts if self._faults(part)]
        contents = self._contents(missing)
        needed = [_blobs(contents[image] for image in part.images) for part in missing]
        for place, part in enumerate(missing):
            self._fetch(part, needed[place])
            self._write(part, [contents[image] for image in part.images])
            later = {blob for blobs in needed[place + 1 :] for blob in blobs}
            for blob in needed[place].keys() - later:
                self._path(blob).unlink(missing_ok=True)
        return len(missing)

    def _contents(self, parts: Sequence[BundlePart]) -> dict[BundledImage, Contents]:
        found, faults = {}, []
        for image in dict.fromkeys(image for part in parts for image in part.images):
            try:
                found[image] = self.registry.contents(image, self.arch)
            except (Unstated, NoAnswer) as error:
                faults.append(str(error) if image.name in str(error) else f"{image.name}: {error}")
        if faults:
            raise BundleError(
                "\n".join(faults),
                cause="an image is used only with the manifest that was vouched for",
                remedy="look at what the registry says; run the same command again where it was away",
            )
        return found

    def _fetch(self, part: BundlePart, blobs: Blobs) -> None:
        tasks = {
            self._path(blob): lambda blob=blob, image=image: self.registry.fetch(
                image, blob, self._path(blob)
            )
            for blob, image in blobs.items()
        }
        sizes = {self._path(blob): blob.size for blob in blobs}
        bring(tasks, sizes, f"the image {part.pin.name}", self.progress)

    def _write(self, part: BundlePart, contents: Sequence[Contents]) -> None:
        made = self.filling / "archive.tar"
        texts = {sha256: body for one in contents for sha256, body in one.texts.items()}
        blobs = {blob.sha256: self._path(blob) for blob in _blobs(contents)}
        try:
            write_archive(made, part.images, texts, blobs)
            with made.open("rb") as file:
                os.fsync(file.fileno())
        except OSError as error:
            made.unlink(missing_ok=True)
            size = sum(path.stat().st_size for path in blobs.values() if path.exists())
            raise BundleError(
                f"{self.directory / part.file} cannot be written: {error.strerror}",
                cause=f"{size / GB:.2f} GB needed, {shutil.disk_usage(self.directory).free / GB:.2f} GB free",
                remedy="free space, then run the same command again; nothing is fetched twice",
            ) from error
        made.replace(self.directory / part.file)
        if faults := self._faults(part):
            raise BundleError(
                "\n".join(f"{part.file}: {fault}" for fault in faults),
                cause="what was fetched changed before it was packed",
                remedy="run the same command again",
            )

    def _faults(self, part: BundlePart) -> list[str]:
        return inside.is_archive_of(
            self.directory / part.file, {image.name: image.sha256 for image in part.images}
        )

    def _path(self, blob: manifests.Blob) -> Path:
        return self.filling / "blobs" / blob.sha256


def _blobs(contents: Iterable[Contents]) -> Blobs:
    return {blob: one.image for one in contents for blob in one.blobs}
