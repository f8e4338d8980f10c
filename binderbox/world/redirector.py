"""The redirector's public word on who is in rotation."""

from __future__ import annotations

import json
from typing import Any

import httpx

from binderbox.errors import EndpointFailed

TIMEOUT_S = 10.0
LARGEST_BYTES = 1_000_000


def active_hosts(federation_url: str) -> Any:
    """The parsed answer of /active_hosts; raises EndpointFailed. Redirects are not followed."""
    url = f"{federation_url.rstrip('/')}/active_hosts"
    try:
        with (
            httpx.Client(timeout=TIMEOUT_S, trust_env=False) as client,
            client.stream("GET", url) as response,
        ):
            body = b""
            for piece in response.iter_bytes():
                body += piece
                if len(body) > LARGEST_BYTES:
                    raise _failed(url, f"it answers with more than {LARGEST_BYTES} bytes")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise _failed(url, str(error) or type(error).__name__) from error
    if response.status_code != 200:
        raise _failed(url, f"HTTP {response.status_code}, 200 is needed")
    try:
        return json.loads(body)
    except ValueError as error:
        raise _failed(url, f"JSON is needed, found {body[:60]!r}") from error


def _failed(url: str, cause: str) -> EndpointFailed:
    return EndpointFailed(f"{url} gave no usable answer", cause=cause, remedy=f"curl -i {url}")
