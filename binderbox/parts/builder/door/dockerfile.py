"""A Dockerfile of a stranger's context, before BuildKit has it: read in its context alone, and not larger than anybody needs.

BuildKit parses a whole file into memory, and makes an object of each instruction; overlayfs takes some 500 layers.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from .refusal import Refused

MAX_BYTES = 1 << 20
MAX_LAYERS = 500
_LAYER = re.compile(rb"^[ \t]*(?:RUN|COPY|ADD)[ \t]", re.I | re.M)


def read(context: Path, dockerfile: str) -> bytes:
    """Its text; nothing of one behind a symlink, which is left to BuildKit, as is one that is not there.

    Raises Refused for one that is too large, or makes too many layers.
    """
    here = os.open(context, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for part in dockerfile.split("/"):
            below = os.open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=here)
            os.close(here)
            here = below
        text = os.read(here, MAX_BYTES + 1)
    except OSError:
        return b""
    finally:
        os.close(here)
    if len(text) > MAX_BYTES:
        raise Refused("dockerfile", f"{dockerfile} is larger than {MAX_BYTES >> 10} kB")
    layers = len(_LAYER.findall(text))
    if layers > MAX_LAYERS:
        raise Refused(
            "dockerfile",
            f"{dockerfile} has {layers} instructions that make layers, and this node builds {MAX_LAYERS} at most",
        )
    return text
