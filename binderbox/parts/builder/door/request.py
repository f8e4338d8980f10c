"""What a build pod asks for, as far as it may choose."""

from __future__ import annotations

import posixpath
import re
from dataclasses import dataclass
from typing import Any

from ..engine import wire
from .refusal import Refused

_ARG = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_LABEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._/-]{0,127}")
MAX_PAIRS = 100
MAX_VALUE = 16 << 10


@dataclass(frozen=True)
class BuildRequest:
    dockerfile: str
    buildargs: tuple[tuple[str, str], ...]
    labels: tuple[tuple[str, str], ...]


def parse_request(header: dict[str, Any], tag: str, platform: str) -> BuildRequest:
    """Return the request, or raise Refused.

    + tag: the only one the caller may build; the one it asks for must be the same
    + platform: the node's; an empty one in the request means the same
    """
    if header.get("protocol") != wire.PROTOCOL:
        raise Refused(
            "protocol",
            f"this door speaks protocol {wire.PROTOCOL}, the pod {header.get('protocol')!r}; install again",
        )
    if header.get("tag") != tag:
        raise Refused(
            "other-tag", f"this pod may build {tag} only, and asked for {str(header.get('tag'))[:200]!r}"
        )
    if header.get("platform") not in ("", None, platform):
        raise Refused("platform", f"this node builds {platform}, not {str(header.get('platform'))[:80]!r}")
    return BuildRequest(
        dockerfile=_dockerfile(header.get("dockerfile")),
        buildargs=_pairs("build argument", header.get("buildargs"), _ARG),
        labels=_pairs("label", header.get("labels"), _LABEL),
    )


def _dockerfile(value: object) -> str:
    if not isinstance(value, str) or not value or len(value) > 1024 or not value.isprintable():
        raise Refused("dockerfile", "the name of the Dockerfile is not a path")
    path = posixpath.normpath(value)
    if path.startswith(("/", "../")) or path in (".", ".."):
        raise Refused("dockerfile", f"the Dockerfile {value[:200]!r} is outside the build context")
    return path


def _pairs(what: str, value: object, names: re.Pattern[str]) -> tuple[tuple[str, str], ...]:
    if not isinstance(value, dict) or len(value) > MAX_PAIRS:
        raise Refused("header", f"expected at most {MAX_PAIRS} {what}s by name")
    for name, text in value.items():
        if not names.fullmatch(name) or (what == "build argument" and name.upper().startswith("BUILDKIT_")):
            # BUILDKIT_SYNTAX, BUILDKIT_CACHE_MOUNT_NS and their like are switches of BuildKit, not arguments
            raise Refused("header", f"{what} {name[:80]!r} is not allowed")
        if not isinstance(text, str) or len(text) > MAX_VALUE or "\0" in text:
            raise Refused("header", f"the value of {what} {name} is not a short text")
    return tuple(sorted(value.items()))
