"""When the ingress is let order a certificate again that it was refused. Pure, standard library only; it travels to the node.

traefik orders for a name when its routes change, and after a refusal not again before they change once more (v3.7
pkg/provider/acme/provider.go, watchNewDomains). An authority counts what it refuses: Let's Encrypt allows five failed
validations of a name in an hour.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass

FIRST_S, MOST_S = 600, 6 * 3600


@dataclass(frozen=True)
class Orders:
    """How often a new order was asked for since a certificate is missing, and when last; 0 s: it was seen to be missing."""

    times: int = 0
    at_s: float = 0.0


def missing(wanted: Iterable[str], held: Iterable[str]) -> tuple[str, ...]:
    """Names without a certificate; one of `held` may be a wildcard."""
    have = set(held)
    return tuple(one for one in wanted if one not in have and f"*.{one.partition('.')[2]}" not in have)


def due(orders: Orders | None, now_s: float) -> tuple[Orders, bool]:
    """Whether to order now, while something is missing, and what to remember: after 10 minutes, 20, 40, up to 6 hours."""
    if orders is None or now_s < orders.at_s:  # just seen, or the clock was put back
        return Orders(0, now_s), False
    if now_s - orders.at_s < min(FIRST_S * 2**orders.times, MOST_S):
        return orders, False
    return Orders(orders.times + 1, now_s), True


def render_route(orders: Orders) -> str:
    """A file of routes that differs from every one before it, also of an earlier trouble, and routes nothing."""
    mark = f"{orders.at_s:.0f}"
    harmless = {f"order-{mark}": {"headers": {"customRequestHeaders": {"X-Binderbox-Order": mark}}}}
    return json.dumps({"http": {"middlewares": harmless}}) + "\n"


def render(orders: Orders) -> str:
    return json.dumps(asdict(orders)) + "\n"


def parse(text: str | None) -> Orders | None:
    """What `render` wrote; None for anything else."""
    try:
        found = json.loads(text or "")
        return Orders(int(found["times"]), float(found["at_s"]))
    except (ValueError, TypeError, KeyError):
        return None
