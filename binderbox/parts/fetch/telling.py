"""How far the fetching is, in words: each file that is under way, and the images that containerd takes in."""

from __future__ import annotations

import json
import os
import time

from binderbox.parts.fetch import fetching, pulling
from binderbox.parts.fetch.fetching import FetchFailed

SAMPLE_S = 1.0
MB = 1_000_000
UNITS = {"B": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def progress(path: str) -> str:
    """What of the list at `path`, and of a bundle's images, is under way now; nothing where nothing is."""
    wanted: list[list[str]] = []
    if os.path.exists(path):
        with open(path) as file:
            wanted = json.load(file)
    paths = [words[3] for words in wanted if words[0] == "file"]
    before, images_before = _files(paths), _images()
    time.sleep(SAMPLE_S)
    after, images = _files(paths), _images()
    rate = sum(max(0, here - before.get(one, (here, 0))[0]) for one, (here, _) in after.items())
    rate += max(0, images - images_before)
    told = [_told(one, here, whole) for one, (here, whole) in after.items()]
    told += [f"images {images / MB:.0f} MB"] if images else []
    if not told:
        return ""
    left = sum(whole - here for here, whole in after.values() if whole > here)
    ends = f", {left / rate * SAMPLE_S:.0f} s left" if rate and left and not images else ""
    return f"{', '.join(told)}; {rate / SAMPLE_S / MB:.1f} MB/s{ends}"


def _files(paths: list[str]) -> dict[str, tuple[int, int]]:
    found = {path: fetching.progress(path) for path in paths}
    return {path: one for path, one in found.items() if one is not None}


def _told(path: str, here: int, whole: int) -> str:
    of = f" of {whole / MB:.0f}" if whole else ""
    return f"{os.path.basename(path)} {here / MB:.0f}{of} MB"


def _images() -> int:
    """Bytes of layers that containerd is taking in: `ctr content active` has REF, SIZE and AGE."""
    try:
        rows = [line.split() for line in pulling.ctr("content", "active").splitlines()[1:]]
    except (FetchFailed, OSError):
        return 0
    return sum(size_of(row[1]) for row in rows if len(row) >= 3)


def size_of(text: str) -> int:
    """Bytes of `12.3MiB`, as ctr writes sizes; 0 for anything else."""
    for unit in ("KiB", "MiB", "GiB", "B"):
        if text.endswith(unit):
            try:
                return int(float(text.removesuffix(unit)) * UNITS[unit])
            except ValueError:
                return 0
    return 0
