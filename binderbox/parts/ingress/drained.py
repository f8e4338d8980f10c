"""The routes by which the ingress answers for a drained member. Pure.

While it is drained /health answers 503, so the redirector takes the member out at its next check (mybinder.org-deploy
95860dbc images/federation-redirect/app.py: anything but 200 is a failure, tried five times 1 s apart). Once nobody is left
on it `drain --wait` also closes it: launches are refused in the words that BinderHub has for a quota that is used up.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from binderbox.decide.drain import Drain

KEY_HEADER = "X-Binderbox-Key"
REFUSED = (
    "This member of the federation is being taken out of service. Please launch again from mybinder.org.\n"
)


@dataclass(frozen=True)
class DrainInputs:
    """The routes by which the ingress answers as drained; None: in rotation."""

    routes: str | None = field(default=None, repr=False)


def drain_inputs(domain: str, drain: Drain | None) -> DrainInputs:
    """What the ingress's directory of routes shall hold while the node says this of itself."""
    return DrainInputs(None if drain is None else render_routes(drain, domain))


def render_routes(drain: Drain, domain: str) -> str:
    """The routes, for traefik's file provider, by which the ingress of the binder host `domain` answers as drained.

    JSON, which is YAML. traefik runs such a file through Go's templates first, and one that it cannot read takes every
    route away at the next start; so no two opening braces ever stand together, and all text is ASCII.
    """
    health = {"ok": False, "drained": {"reason": drain.reason, "since": drain.since}}
    parts = {"drained": _answer(f"Host(`{domain}`) && Path(`/health`)", 503, "application/json", health)}
    if drain.closed:
        rule = f"Host(`{domain}`) && PathPrefix(`/build/`) && !Header(`{KEY_HEADER}`, `{drain.key}`)"
        failed = {"phase": "failed", "message": REFUSED}
        parts["closed"] = _answer(rule, 200, "text/event-stream", failed)
    routes = {
        "routers": {name: {**router, "middlewares": [name]} for name, (router, _) in parts.items()},
        "middlewares": {name: {"plugin": {"answer": answer}} for name, (_, answer) in parts.items()},
    }
    return json.dumps({"http": routes}).replace("{{", "{\\u007b") + "\n"


def _answer(
    rule: str, status: int, content_type: str, body: Mapping[str, Any]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """(router, middleware): the answer, with the headers that BinderHub's own has, so that browsers may read it."""
    text = json.dumps(body)
    headers = {
        "Content-Type": content_type,
        "Cache-Control": "no-cache",
        "Access-Control-Allow-Origin": "*",
        "Access-Control-Allow-Headers": "cache-control",
    }
    streamed = content_type == "text/event-stream"
    router = {"entryPoints": ["websecure"], "rule": rule, "priority": 100, "service": "noop@internal"}
    return router, {"status": status, "headers": headers, "body": f"data: {text}\n\n" if streamed else text}
