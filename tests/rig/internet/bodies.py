"""Wrong bodies, for `Fault(body=...)`: what captive portals, broken mirrors and careless publishers answer with."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import yaml

HTML = b"<!DOCTYPE html><html><head><title>Sign in</title></head><body>Sign in to go on.</body></html>\n"
EMPTY = b""
TEN_MB = b"0123456789abcdef" * (10 * 1024 * 1024 // 16)
NAMES = ("name", "version")


def other_sum(sha256: str) -> Callable[[bytes], bytes]:
    """A list that states another sum where it states this one."""
    other = sha256[::-1] if sha256[::-1] != sha256 else "0" * 64
    return lambda body: body.replace(sha256.encode(), other.encode())


def without(name: str) -> Callable[[bytes], bytes]:
    """A list that lacks a file, by its name: lines of sums, JSON or YAML; in a chart index a version counts as name."""

    def edit(body: bytes) -> bytes:
        text = body.decode()
        if text.startswith("{"):
            return json.dumps(_lacking(json.loads(text), name)).encode()
        if text.startswith("apiVersion"):
            return yaml.safe_dump(_lacking(yaml.safe_load(text), name)).encode()
        return "".join(line for line in text.splitlines(True) if line.split()[-1] != name).encode()

    return edit


def _lacking(value: Any, name: str) -> Any:
    if isinstance(value, dict):
        return {key: _lacking(inner, name) for key, inner in value.items()}
    if isinstance(value, list):
        return [_lacking(one, name) for one in value if not _is(one, name)]
    return value


def _is(one: Any, name: str) -> bool:
    return isinstance(one, dict) and any(one.get(key) == name for key in NAMES)
