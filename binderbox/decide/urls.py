"""What an address of the Web leaves unsaid."""

from __future__ import annotations

from urllib.parse import urlsplit


def port(url: str) -> int:
    """The port that is asked: the address's own, else its scheme's."""
    parts = urlsplit(url)
    return parts.port or (80 if parts.scheme == "http" else 443)
