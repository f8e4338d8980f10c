"""One launch as a visitor's browser makes it: with the token of the prime's page, the member's /build across origins.

Bounded: by silence (BinderHub sends a keepalive every 25 s) and by the clock. The token is never told to anybody else.
Here is what is asked and what is made of it; `world.http.stream` carries it.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, field, replace
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from binderbox.errors import NoAnswer
from binderbox.launch.stream import Launch, follow, over, reason_lines
from binderbox.output.printable import printable

SILENCE_S = 60.0
ANSWER_S = 15.0


class Stream(Protocol):
    """An answer that goes on. `own_ip` is our end of the connection; `events` raises NoAnswer when it breaks."""

    @property
    def status(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def own_ip(self) -> str: ...
    def events(self) -> Iterator[Any]: ...


class Door(Protocol):
    """How a member is reached; both raise NoAnswer."""

    def stream(
        self, url: str, headers: Mapping[str, str], *, silence_s: float, connect_s: float
    ) -> AbstractContextManager[Stream]: ...
    def status(self, method: str, url: str, *, timeout_s: float) -> int:
        """The status alone; the text is of no interest, and may be endless."""


@dataclass(frozen=True)
class BuildSeen:
    """One GET of the member's /build, with a token of the prime's page if there was one.

    `whole` False: only knocked, with a branch that does not exist. Times are seconds since the request. `refused` is the
    status of a `failed` event, 0 without one; `error` says why there was no stream. `client_ip` is the member's word
    for who asked, `own_ip` our end of the connection; `server` is "" when the notebook's server answered, else why not.
    """

    whole: bool
    with_token: bool
    no_token_because: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    refused: int = 0
    failure: str = ""
    error: str = ""
    first_event_s: float | None = None
    ready_s: float | None = None
    client_ip: str = ""
    own_ip: str = ""
    server: str = ""


def visit(
    member_url: str,
    path: str,
    door: Door,
    *,
    token: str,
    no_token_because: str,
    page: str,
    whole: bool,
    at_most_s: float,
) -> BuildSeen:
    """Ask a member for `path` (/build/...) with the token that the prime's page has for it.

    + page: the address whose page that is, e.g. https://mybinder.org
    + whole: wait until the server is ready, ask it, and stop it; else leave after the first event
    """
    query = f"?{urlencode({'build_token': token})}" if token else ""
    # BinderHub takes no list in Accept
    headers = {"Accept": "text/event-stream", "Origin": origin_of(page)}
    seen, started = BuildSeen(whole, bool(token), no_token_because), time.monotonic()
    try:
        with door.stream(
            f"{member_url}{path}{query}", headers, silence_s=SILENCE_S, connect_s=ANSWER_S
        ) as stream:
            launched, seen = _watch(stream, started, seen, at_most_s)
    except NoAnswer as error:
        return replace(seen, error=printable(str(error)))
    return replace(seen, server=_ask_server(door, launched, member_url)) if launched.ready else seen


def _watch(stream: Stream, started: float, seen: BuildSeen, at_most_s: float) -> tuple[Launch, BuildSeen]:
    """Read events until one says enough; times are seconds since `started`. A stream that breaks keeps what it told."""
    seen = replace(
        seen,
        status=stream.status,
        headers=stream.headers,
        own_ip=stream.own_ip,
    )
    launched = Launch()
    if stream.status != 200:
        return launched, seen
    try:
        for event in stream.events():
            at_s = time.monotonic() - started
            if not isinstance(event, dict):
                raise ValueError("an event that is no JSON object")
            launched = follow(launched, event, at_s)
            seen = _noted(seen, event, at_s)
            if not seen.whole or over(launched, at_s) or at_s > at_most_s:
                break
    except (NoAnswer, ValueError, KeyError) as error:
        seen = replace(seen, error=printable(str(error)))
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


def _ask_server(door: Door, launched: Launch, member_url: str) -> str:
    """Why the notebook's server does not answer, "" when it does; it is ended in any case.

    The address comes from the member: only one below the member's own name gets the token that came with it.
    """
    host, own = urlsplit(launched.url).hostname or "", urlsplit(member_url).hostname or ""
    if host != own and not host.endswith(f".{own}"):
        return f"its server is said to be at {printable(launched.url)}, which is not below {own}"
    query = urlencode({"token": launched.token})
    try:
        status = door.status("GET", f"{launched.url}api/status?{query}", timeout_s=ANSWER_S)
        return "" if status == 200 else f"the server answers HTTP {status} at {printable(launched.url)}"
    except NoAnswer as error:
        return f"the server at {printable(launched.url)} does not answer: {error}"
    finally:
        with suppress(NoAnswer):
            door.status("POST", f"{launched.url}api/shutdown?{query}", timeout_s=ANSWER_S)


def origin_of(url: str) -> str:
    """What a browser sends as Origin from a page of this address."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"
