"""Our own charts as files for helm: the same chart is the same bytes everywhere, so its checksum says if it changed."""

from __future__ import annotations

import gzip
import io
import tarfile
from collections.abc import Iterator
from importlib.resources import files
from importlib.resources.abc import Traversable


def pack(chart: str) -> bytes:
    """The .tgz of the chart in `charts/<chart>`; owners, times and modes are left out of it."""
    archive = io.BytesIO()
    with (
        gzip.GzipFile(fileobj=archive, mode="wb", mtime=0, filename="") as packed,
        tarfile.open(fileobj=packed, mode="w", format=tarfile.USTAR_FORMAT) as tar,
    ):
        for name, file in sorted(_files(files("binderbox.charts") / chart, chart), key=lambda one: one[0]):
            content = file.read_bytes()
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            tar.addfile(entry, io.BytesIO(content))
    return archive.getvalue()


def _files(directory: Traversable, path: str) -> Iterator[tuple[str, Traversable]]:
    for entry in directory.iterdir():
        if entry.is_dir():
            if entry.name != "__pycache__":
                yield from _files(entry, f"{path}/{entry.name}")
        else:
            yield f"{path}/{entry.name}", entry
