"""Which frontend a Dockerfile asks for. Every one is built with BuildKit's own: another makes the very build steps, limits
included, and is whatever Docker Hub has under that name today.

`cmdline` among the options makes BuildKit 0.32 read neither `# syntax=` nor BUILDKIT_SYNTAX (frontend/dockerfile/builder).
"""

from __future__ import annotations

import json
import re
from contextlib import suppress
from dataclasses import dataclass

OWN = "--opt=cmdline=dockerfile.v0"
_DIRECTIVE = re.compile(rb"\s*([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$")
_KNOWN = (b"syntax", b"escape", b"check")


@dataclass(frozen=True)
class Asked:
    """An image, in a line of a Dockerfile, counted from 1."""

    image: str
    line: int

    @property
    def is_dockers(self) -> bool:
        """Docker's own, from wherever: what it knows beyond BuildKit's is in its labs channel alone."""
        above, _, last = self.image.partition("@")[0].rpartition("/")
        name = f"/{above}/{last.partition(':')[0]}"
        return name.endswith(("/docker/dockerfile", "/docker/dockerfile-upstream"))

    @property
    def is_labs(self) -> bool:
        tag = self.image.partition("@")[0].rpartition("/")[2].partition(":")[2]
        return "labs" in tag or "experimental" in tag


def asked(text: bytes) -> Asked | None:
    """What BuildKit's DetectSyntax finds: a directive after `#` or `//`, or a key of a JSON document."""
    text = text.removeprefix(b"\xef\xbb\xbf")
    lines = text.split(b"\n")
    first = 1 if lines[0].startswith(b"#!") else 0
    for comment in (b"#", b"//"):
        for number, line in enumerate(lines[first:], first + 1):
            found = _DIRECTIVE.match(line[len(comment) :]) if line.startswith(comment) else None
            if not found or found[1].lower() not in _KNOWN:
                break
            if found[1].lower() == b"syntax":
                return Asked(found[2].split(b" ")[0].decode("utf-8", "replace")[:300], number)
    with suppress(ValueError, RecursionError):
        document = json.loads(text)
        if isinstance(document, dict) and isinstance(document.get("syntax"), str):
            return Asked(document["syntax"][:300], first + 1)
    return None


def foreign(one: Asked, name: str) -> str:
    return (
        f"line {one.line} of {name} asks for the frontend {one.image}, and this node runs nobody's but BuildKit's own; "
        "take the line out if the file is a plain Dockerfile"
    )


def ignored(one: Asked, name: str) -> str:
    return (
        f"Line {one.line} of {name} asks for the frontend {one.image}; it was ignored: "
        "this node builds every Dockerfile with BuildKit's own."
    )


def labs(one: Asked, name: str) -> str:
    return f"What only {one.image} knows, for which line {one.line} of {name} asks, is not built here."
