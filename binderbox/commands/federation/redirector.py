"""The redirector's public word on who is in rotation."""

from __future__ import annotations

from typing import Any

from binderbox.errors import EndpointFailed
from binderbox.federation.members.observed import Ask
from binderbox.world.http.endpoints import ask_all

TIMEOUT_S = 10.0
LARGEST_BYTES = 1_000_000


def active_hosts(federation_url: str) -> Any:
    """The parsed answer of /active_hosts; raises EndpointFailed. Redirects are not followed."""
    url = f"{federation_url.rstrip('/')}/active_hosts"
    (reply,) = ask_all([Ask(url, TIMEOUT_S, most_bytes=LARGEST_BYTES, redirects=False)])
    if reply.fault:
        cause = reply.error if reply.status in (0, 200) else f"HTTP {reply.status}, 200 is needed"
        raise EndpointFailed(f"{url} gave no usable answer", cause=cause, remedy=f"curl -i {url}")
    return reply.body
