"""Many public addresses asked at once, each bounded in time, size and where it may lead.

Each address has a thread of its own that dies with the program, because a resolver or a server that drips bytes can
hold a thread longer than any timeout of a library; the caller goes on at the deadline whatever they do.
"""

from __future__ import annotations

import queue
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urljoin

import httpx

from binderbox.federation.members.observed import Ask, Reply, next_place, parsed
from binderbox.output.printable import printable

MOST_REDIRECTS = 5
SLACK_S = 0.5  # for threads to tell of their own timeouts
# what the redirector asks for and its libcurl undoes, asked for or not; anything else is an error there
DECODED = ("", "identity", "none", "gzip", "x-gzip", "deflate")
REDIRECTS = (301, 302, 303, 307, 308)


@dataclass(frozen=True)
class Way:
    """How names are reached: `addresses` of names that DNS does not know, an authority trusted besides the system's."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    ca_pem: str | None = field(default=None, repr=False)

    def context(self) -> ssl.SSLContext:
        """The system's authorities (SSL_CERT_FILE counts), and `ca_pem`."""
        context = ssl.create_default_context()
        if self.ca_pem:
            context.load_verify_locations(cadata=self.ca_pem)
        return context

    def to(self, url: str) -> tuple[httpx.URL, dict[str, str], dict[str, Any]]:
        """Where a request for `url` goes, with the header and the extension that keep its name."""
        wanted = httpx.URL(url)
        there = wanted.copy_with(host=self.addresses.get(wanted.host, wanted.host))
        return there, {"Host": wanted.netloc.decode()}, {"sni_hostname": wanted.host}


PUBLIC = Way()


def ask_all(asks: Iterable[Ask], way: Way = PUBLIC) -> tuple[Reply, ...]:
    """One reply each, in the order of the asks; never raises for what a server does."""
    wanted = tuple(asks)
    limits = httpx.Limits(max_connections=max(100, len(wanted)))
    client = httpx.Client(verify=way.context(), trust_env=False, limits=limits)
    done: queue.SimpleQueue[tuple[int, Reply]] = queue.SimpleQueue()
    started = time.monotonic()
    for number, ask in enumerate(wanted):
        threading.Thread(target=_work, args=(client, ask, way, number, done), daemon=True).start()
    replies: dict[int, Reply] = {}
    deadline = started + max((ask.timeout_s for ask in wanted), default=0) + SLACK_S
    while len(replies) < len(wanted) and (left := deadline - time.monotonic()) > 0:
        try:
            number, reply = done.get(timeout=left)
        except queue.Empty:
            break
        replies[number] = reply
    if len(replies) == len(wanted):
        client.close()
    return tuple(replies.get(number) or _late(ask, started) for number, ask in enumerate(wanted))


def _work(
    client: httpx.Client, ask: Ask, way: Way, number: int, done: queue.SimpleQueue[tuple[int, Reply]]
) -> None:
    started = time.monotonic()
    try:
        reply = _asked(client, ask, way, started)
    except (httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
        reply = Reply(ask.url, error=_why(error, ask), seconds=time.monotonic() - started)
    done.put((number, reply))


def _asked(client: httpx.Client, ask: Ask, way: Way, started: float) -> Reply:
    url = ask.url
    for _ in range(MOST_REDIRECTS + 1):
        response = client.send(_request(client, url, ask, way), stream=True)
        days_left, life_days = _days(response)  # before the body: at its end the connection may be gone
        try:
            location = response.headers.get("location", "")
            if response.status_code not in REDIRECTS or not ask.redirects:
                return replace(_read(response, ask, started), days_left=days_left, life_days=life_days)
            joined = urljoin(url, location)
            if why := next_place(url, location, joined):
                return _reply(response, ask, started, error=why, days_left=days_left, life_days=life_days)
            url = joined
        finally:
            response.close()
    return Reply(ask.url, error="it redirects in circles", seconds=time.monotonic() - started)


def _request(client: httpx.Client, url: str, ask: Ask, way: Way) -> httpx.Request:
    there, headers, extensions = way.to(url)
    return client.build_request(
        "GET",
        there,
        headers={**headers, "Accept-Encoding": "gzip, deflate"},
        extensions={**extensions, "timeout": httpx.Timeout(ask.timeout_s).as_dict()},
    )


def _read(response: httpx.Response, ask: Ask, started: float) -> Reply:
    taken = bytearray()
    encoding = response.headers.get("content-encoding", "").strip().lower()
    if encoding not in DECODED:
        return _reply(response, ask, started, error=f"its Content-Encoding is {printable(encoding)}")
    if encoding == "x-gzip":
        response.headers["content-encoding"] = "gzip"  # httpx knows it by that name alone
    for piece in response.iter_bytes():
        taken += piece
        if len(taken) > ask.most_bytes:
            return _reply(response, ask, started, error=f"it sends more than {ask.most_bytes / 1e6:g} MB")
        if time.monotonic() - started > ask.timeout_s:
            return _reply(response, ask, started, error=_no_answer(ask))
    text = taken.decode(errors="replace")
    body, error = parsed(bytes(taken), response.headers.get("content-type", ""), ask.wants)
    return _reply(response, ask, started, text=text, body=body, error=error)


def _reply(
    response: httpx.Response,
    ask: Ask,
    started: float,
    *,
    text: str = "",
    body: object = None,
    error: str = "",
    days_left: float | None = None,
    life_days: float = 0.0,
) -> Reply:
    return Reply(
        url=ask.url,
        status=response.status_code,
        headers={name.lower(): value for name, value in response.headers.items()},
        text=text,
        body=body,
        error=error,
        seconds=time.monotonic() - started,
        days_left=days_left,
        life_days=life_days,
    )


def _days(response: httpx.Response) -> tuple[float | None, float]:
    """(left, of its whole life) of the certificate on this very connection; it was verified, or there were no response."""
    tls = response.extensions["network_stream"].get_extra_info("ssl_object")
    shown = tls.getpeercert() if tls is not None else None
    if not shown:
        return None, 0.0
    begins, ends = (ssl.cert_time_to_seconds(shown[key]) for key in ("notBefore", "notAfter"))
    return (ends - time.time()) / 86400, (ends - begins) / 86400


def _why(error: Exception, ask: Ask) -> str:
    if isinstance(error, httpx.TimeoutException):
        return _no_answer(ask)
    text = printable(str(error) or type(error).__name__)
    _, found, reason = text.partition("certificate verify failed: ")
    return f"its certificate is not accepted: {reason.partition(' (_ssl')[0]}" if found else text


def _no_answer(ask: Ask) -> str:
    return f"no answer within {ask.timeout_s:g} s"


def _late(ask: Ask, started: float) -> Reply:
    return Reply(ask.url, error=_no_answer(ask), seconds=time.monotonic() - started)
