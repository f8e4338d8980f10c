"""What BuildKit reads of a stranger's context by itself, before it has it: a Dockerfile and lists of what is ignored, read in the
context alone, and not larger than anybody needs.

BuildKit reads each whole into memory, makes an object of each instruction and a pattern of each line, and follows links inside
the context; overlayfs takes some 500 layers.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from .refusal import Refused

MAX_BYTES = 1 << 20
MAX_LAYERS = 500
MAX_LINES = 20_000  # of each of these files, comments and here-documents too
MAX_LINKS = 40  # as the kernel follows at most
_LAYER = re.compile(rb"^[ \t]*(?:RUN|COPY|ADD|WORKDIR)[ \t]", re.I | re.M)


def read(context: Path, dockerfile: str) -> bytes:
    """Its text; nothing of one that is none, or leads out of the context, which is left to BuildKit.

    Where there is no `Dockerfile`, BuildKit takes one that is called `dockerfile` (frontend/dockerui/config.go). Raises Refused
    for a file that is too large, or makes too many layers.
    """
    for ignored in (".dockerignore", f"{dockerfile}.dockerignore"):
        _text(context, ignored)
    text = _text(context, dockerfile)
    if text is None and dockerfile.rpartition("/")[2] == "Dockerfile":
        dockerfile = dockerfile.removesuffix("Dockerfile") + "dockerfile"
        _text(context, f"{dockerfile}.dockerignore")
        text = _text(context, dockerfile)
    layers = len(_LAYER.findall(text or b""))
    if layers > MAX_LAYERS:
        raise Refused(
            "dockerfile",
            f"{dockerfile} has {layers} instructions that make layers, and this node builds {MAX_LAYERS} at most",
        )
    return text or b""


def _text(context: Path, name: str) -> bytes | None:
    """The bytes of a file of the context; None where BuildKit would find none."""
    found = _resolved(context, name)
    if found is None or not stat.S_ISREG(found.lstat().st_mode):
        return None
    with found.open("rb") as file:
        text = file.read(MAX_BYTES + 1)
    if len(text) > MAX_BYTES:
        raise Refused("dockerfile", f"{name} is larger than {MAX_BYTES >> 10} kB")
    if (lines := text.count(b"\n")) > MAX_LINES:
        raise Refused("dockerfile", f"{name} has {lines} lines, and this node reads {MAX_LINES} at most")
    return text


def _resolved(context: Path, name: str) -> Path | None:
    """Where a name leads as BuildKit follows it: links stay below the context, as if that were the root.

    The context is the door's own, and nobody changes it meanwhile.
    """
    here, parts, links = context, name.split("/"), 0
    while parts:
        part = parts.pop(0)
        if part in (".", ""):
            continue
        if part == "..":
            here = context if here == context else here.parent
            continue
        below = here / part
        try:
            mode = below.lstat().st_mode
        except (OSError, ValueError):
            return None
        if not stat.S_ISLNK(mode):
            here = below
            continue
        links += 1
        if links > MAX_LINKS:
            return None
        target = os.readlink(below)
        here = context if target.startswith("/") else here
        parts = [*target.split("/"), *parts]
    return here
