"""One launch as a visitor's browser makes it: the page of the prime, its token, the member's /build across origins.

Bounded: by silence (BinderHub sends a keepalive every 25 s) and by the clock. The token is never told to anybody else.
"""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Iterator
from dataclasses import replace
from urllib.parse import urlencode, urlsplit

import httpx
import httpx_sse

from binderbox.federation.members.look import BuildSeen, origin_of
from binderbox.federation.members.observed import Ask, printable
from binderbox.launch.stream import BUILD_TOKEN, Launch, follow, over, page_path, reason_lines
from binderbox.world.http.endpoints import PUBLIC, Way, ask_all

PAGE_S = 15.0
SILENCE_S = 60.0
ANSWER_S = 15.0


def page_token(page_url: str, way: Way = PUBLIC) -> tuple[str, str]:
    """(token, why there is none) of a launch page; the redirector passes pages on from the prime."""
    (reply,) = ask_all([Ask(page_url, PAGE_S, "text")], way)
    found = BUILD_TOKEN.search(reply.text)
    if reply.fault or found is None:
        return "", f"{page_url}: {reply.fault or 'no build token in the page'}"
    return found[1], ""


def visit(
    member_url: str,
    path: str,
    *,
    page: str,
    whole: bool,
    at_most_s: float,
    way: Way = PUBLIC,
    page_way: Way = PUBLIC,
) -> BuildSeen:
    """Ask a member for `path` (/build/...) with the token that the page below `page` has for it.

    + page: the address whose page it is, e.g. https://mybinder.org
    + whole: wait until the server is ready, ask it, and stop it; else leave after the first event
    """
    token, why = page_token(page + page_path(path), page_way)
    query = f"?{urlencode({'build_token': token})}" if token else ""
    there, headers, extensions = way.to(f"{member_url}{path}{query}")
    # BinderHub takes no list in Accept
    headers |= {"Accept": "text/event-stream", "Origin": origin_of(page)}
    seen = BuildSeen(whole, bool(token), why)
    timeout = httpx.Timeout(SILENCE_S, connect=ANSWER_S)
    with httpx.Client(verify=way.context(), trust_env=False, timeout=timeout) as client:
        started = time.monotonic()
        try:
            with client.stream("GET", there, headers=headers, extensions=extensions) as response:
                launched, seen = _watch(response, started, seen, at_most_s)
        except (httpx.HTTPError, OSError) as error:
            return replace(seen, error=_why(error))
        return (
            replace(seen, server=_ask_server(client, launched, member_url, way)) if launched.ready else seen
        )


def _watch(
    response: httpx.Response, started: float, seen: BuildSeen, at_most_s: float
) -> tuple[Launch, BuildSeen]:
    """Read events until one says enough; times are seconds since `started`. A stream that breaks keeps what it told."""
    stream = response.extensions["network_stream"]
    seen = replace(
        seen,
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        own_ip=str((stream.get_extra_info("client_addr") or ("",))[0]),
    )
    launched = Launch()
    if response.status_code != 200:
        return launched, seen
    try:
        for event, at_s in _events(response, started):
            launched = follow(launched, event, at_s)
            seen = _noted(seen, event, at_s)
            if not seen.whole or over(launched, at_s) or at_s > at_most_s:
                break
    except (httpx.HTTPError, httpx_sse.SSEError, OSError, ValueError, KeyError) as error:
        seen = replace(seen, error=_why(error))
    if seen.whole and not launched.ready:
        why = launched.failure or f"no server after {time.monotonic() - started:.0f} s"
        return launched, replace(seen, failure=printable(" / ".join(reason_lines(launched, why)[-3:])))
    return launched, replace(seen, failure=printable(launched.failure or ""))


def _noted(seen: BuildSeen, event: dict[str, object], at_s: float) -> BuildSeen:
    if seen.first_event_s is None:
        seen = replace(seen, first_event_s=at_s)
    if event.get("phase") in ("failed", "failure"):
        code = event.get("status_code", 0)
        return replace(seen, refused=code if isinstance(code, int) else 0)
    if event.get("phase") == "ready":
        return replace(seen, ready_s=at_s, client_ip=str(event.get("binder_client_ip", "")))
    return seen


def _events(response: httpx.Response, started: float) -> Iterator[tuple[dict[str, object], float]]:
    for sent in httpx_sse.EventSource(response).iter_sse():
        event = json.loads(sent.data)
        if not isinstance(event, dict):
            raise ValueError("an event that is no JSON object")
        yield event, time.monotonic() - started


def _ask_server(client: httpx.Client, launched: Launch, member_url: str, way: Way) -> str:
    """Why the notebook's server does not answer, "" when it does; it is ended in any case.

    The address comes from the member: only one below the member's own name gets the token that came with it.
    """
    host, own = urlsplit(launched.url).hostname or "", urlsplit(member_url).hostname or ""
    if host != own and not host.endswith(f".{own}"):
        return f"its server is said to be at {printable(launched.url)}, which is not below {own}"
    try:
        status = _at_server(client, "GET", launched, "api/status", way)
        return "" if status == 200 else f"the server answers HTTP {status} at {printable(launched.url)}"
    except httpx.HTTPError as error:
        return f"the server at {printable(launched.url)} does not answer: {_why(error)}"
    finally:
        with contextlib.suppress(httpx.HTTPError):
            _at_server(client, "POST", launched, "api/shutdown", way)


def _at_server(client: httpx.Client, method: str, launched: Launch, path: str, way: Way) -> int:
    there, headers, extensions = way.to(f"{launched.url}{path}?{urlencode({'token': launched.token})}")
    with client.stream(
        method, there, headers=headers, extensions=extensions, timeout=ANSWER_S
    ) as response:  # its text is of no interest, and may be endless
        return response.status_code


def _why(error: Exception) -> str:
    return (
        "no answer in time"
        if isinstance(error, httpx.TimeoutException)
        else printable(str(error) or type(error).__name__)
    )
