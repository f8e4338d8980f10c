"""Keeps what the rig builds, outside the checkout, so that a warm rig builds nothing."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

HASH_LENGTH = 16
KEPT_UNUSED_S = 3 * 24 * 3600  # branches of a few days share the cache; a bundle is 250 MB


def cached(
    name: str, recipe: str | bytes, build: Callable[[Path], None], usually_s: int, title: str = ""
) -> Path:
    """Return the directory that holds what `recipe` builds, building it first if it is not there.

    + name: what the directory is called, before the recipe's hash
    + recipe: everything that decides the result: versions, commands, the text of each source file
      (`recipe_of` makes one); another recipe is another directory
    + build: fills the empty directory it is given; if it raises, nothing is kept
    + usually_s: how long a cold build takes, told to whoever waits
    + title: what is being built, in words; the name if not given

    A second process that wants the same thing waits for the first one's build.
    """
    if isinstance(recipe, str):
        recipe = recipe.encode()
    home = cache_home()
    entry = home / f"{name}-{hashlib.sha256(recipe).hexdigest()[:HASH_LENGTH]}"
    if entry.is_dir():
        os.utime(entry)
        return entry
    home.mkdir(parents=True, exist_ok=True)
    with _locked(home / f".{entry.name}.lock", title or name):
        if entry.is_dir():  # another process built it while this one waited
            return entry
        _say(f"building {title or name}, usually {_duration(usually_s)}")
        started = time.monotonic()
        partial = Path(tempfile.mkdtemp(prefix=f".{entry.name}.", dir=home))
        try:
            build(partial)
            partial.chmod(0o755)
            partial.rename(entry)
            os.utime(entry)
            _forget_unused(home, name)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
        _say(f"built {title or name} in {_duration(time.monotonic() - started)}")
    return entry


def _forget_unused(home: Path, name: str) -> None:
    """Older recipes' results of the same name go once no run has asked for them in `KEPT_UNUSED_S`."""
    for other in home.glob(f"{name}-{'?' * HASH_LENGTH}"):
        if time.time() - other.stat().st_mtime > KEPT_UNUSED_S:
            shutil.rmtree(other, ignore_errors=True)


def recipe_of(*parts: str | bytes | Path) -> bytes:
    """Join what decides a build: words as they are, files by name and content, directories file by file."""
    joined = bytearray()
    for part in parts:
        if isinstance(part, Path):
            files = sorted(p for p in part.rglob("*") if p.is_file()) if part.is_dir() else [part]
            for file in files:
                content = file.read_bytes()
                shown = file.relative_to(part) if part.is_dir() else Path(file.name)
                joined += f"{shown} {len(content)}\n".encode() + content
        else:
            joined += part.encode() if isinstance(part, str) else part
        joined += b"\0"
    return bytes(joined)


def cache_home() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "binderbox-rig"


@contextmanager
def _locked(path: Path, title: str) -> Iterator[None]:
    with path.open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            _say(f"waiting for another process that builds {title}")
            fcntl.flock(lock, fcntl.LOCK_EX)
        yield  # closing the file releases the lock; the file stays, or a waiter would lock a deleted one


def _duration(seconds: float) -> str:
    return f"{seconds / 60:.0f} min" if seconds >= 90 else f"{seconds:.0f} s"


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
