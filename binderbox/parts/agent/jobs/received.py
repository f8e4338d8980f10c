"""Certificates that the ingress got from an authority, in traefik's own file."""

from __future__ import annotations

import base64
import json
import re
from typing import Any

from binderbox.parts.agent.jobs import files

PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\n?", re.S)


def names(path: str) -> tuple[str, ...]:
    """For which there is one; the ingress renews it by itself."""
    domains = [one.get("domain") or {} for one in _held(path)]
    return tuple(str(name) for one in domains for name in (one.get("main"), *(one.get("sans") or [])) if name)


def issuers(path: str) -> str:
    """Who signed them in PEM, for a reader that knows none of these."""
    chains = [PEM.findall(_decoded(str(one.get("certificate", "")))) for one in _held(path)]
    return "".join(sorted({pem for chain in chains for pem in chain[1:]}))


def _held(path: str) -> list[dict[str, Any]]:
    """None where there is no such file, or not yet a whole one."""
    try:
        found = json.loads(files.read(path) or "{}")
        return [one for resolver in found.values() for one in (resolver or {}).get("Certificates") or []]
    except (ValueError, AttributeError, TypeError):
        return []


def _decoded(text: str) -> str:
    try:
        return base64.b64decode(text).decode("ascii")
    except ValueError:
        return ""
