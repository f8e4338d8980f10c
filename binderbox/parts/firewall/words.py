"""Words of nftables that more than one table says."""

from __future__ import annotations

from collections.abc import Iterable


def family(network: object) -> str:
    """`ip` or `ip6`, by an address or a network, as text or as Python's own."""
    return "ip6" if ":" in str(network) else "ip"


def braces(elements: Iterable[object]) -> str:
    """A set without a name."""
    return "{ " + ", ".join(map(str, elements)) + " }"
