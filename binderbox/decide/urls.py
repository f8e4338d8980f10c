"""Addresses of the Web as a browser takes them: what they leave unsaid, and which of them are the same place."""

from __future__ import annotations

import posixpath
import re
from typing import NamedTuple
from urllib.parse import urlsplit

DOT = re.compile("%2e", re.I)  # to a browser it is one, and `..` goes a step up
DEFAULTS = {"http": 80, "https": 443}


class Place(NamedTuple):
    """Where an address leads: the host in small ASCII letters without a last dot, and a path without a last slash."""

    host: str
    port: int
    path: str


def port(url: str) -> int:
    """The port that is asked: the address's own, else its scheme's."""
    parts = urlsplit(url)
    return (80 if parts.scheme == "http" else 443) if parts.port is None else parts.port


def place(url: str) -> Place:
    """Raises ValueError for what has no host, or one that is no name."""
    parts = urlsplit(url.strip())
    path = DOT.sub(".", f"/{parts.path}".replace("//", "/"))
    return Place(host_of(url), port(url), posixpath.normpath(path).rstrip("/"))


def host_of(url: str) -> str:
    """Raises ValueError for what has no host, or one that is no name."""
    host = (urlsplit(url.strip()).hostname or "").rstrip(".")
    if not host:
        raise ValueError(f"{url!r} has no host")
    if host.isascii():
        return host.lower()
    import idna  # not on nodes, where this file runs too and no such name is met

    try:
        return idna.encode(host, uts46=True).decode()
    except idna.IDNAError as error:
        raise ValueError(f"{url!r}: {error}") from error


def canonical(url: str) -> str:
    """The address as a browser writes it, without a slash at its end; raises ValueError."""
    parts, there = urlsplit(url.strip()), place(url)
    if parts.username is not None or parts.password is not None:
        raise ValueError(f"{url!r} holds a user or a password")
    if parts.fragment:
        raise ValueError(f"{url!r} holds a place in a page")
    shown = "" if there.port == DEFAULTS.get(parts.scheme) else f":{there.port}"
    host = f"[{there.host}]" if ":" in there.host else there.host
    query = f"?{parts.query}" if parts.query else ""
    return f"{parts.scheme}://{host}{shown}{there.path}{query}"
