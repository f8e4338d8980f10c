"""Files of the node: written whole or not at all, and artifacts as an install places them."""

from __future__ import annotations

import hashlib
import json
import os
import posixpath
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from binderbox import layout
from binderbox.parts.agent.jobs.running import run


def read(path: str) -> str | None:
    """The text, or None where there is no file."""
    try:
        return Path(path).read_text("utf-8")
    except FileNotFoundError:
        return None


def kept(path: str) -> dict[str, Any]:
    """What a job keeps there as JSON; nothing of what is none, for nothing in it is worth a job that fails."""
    try:
        found = json.loads(read(path) or "{}")
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def write(path: str, text: str | bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """Make the file hold this, by rename, safe against a power cut; a file that does is left alone.

    `owner` is (user, group), of a file that is another's.
    """
    data = text.encode() if isinstance(text, str) else text
    target = Path(path)
    if target.is_file() and target.read_bytes() == data and target.stat().st_mode & 0o777 == mode:
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_name(f".{target.name}.{os.getpid()}")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fchmod(file.fileno(), mode)
        if owner:
            os.fchown(file.fileno(), *owner)
        os.fsync(file.fileno())
    partial.replace(target)


def remove(path: str) -> None:
    Path(path).unlink(missing_ok=True)


def artifact_path(url: str, sha256: str) -> str:
    """Where deploys/operations/artifacts.py looks for it."""
    return f"{layout.ARTIFACTS}/{sha256}/{posixpath.basename(urlsplit(url).path)}"


def place_artifact(url: str, sha256: str, data: bytes) -> str:
    """Put a verified artifact in its place, with the mark by which an install knows it. Raises ValueError."""
    found = hashlib.sha256(data).hexdigest()
    if found != sha256:
        raise ValueError(f"{url}: expected sha256 {sha256}, found {found}; it was not used")
    path = artifact_path(url, sha256)
    write(path, data)
    looks = run(["stat", "-c", "%s %y", path]).strip()
    write(f"{path}.ok", f"{looks} {sha256}")
    return path
