"""HTTP and event streams, as a user's browser would meet them.

A member whose name no public DNS knows yet (a demo, a test, a host before its records are set) is reached at
the address given, with its name in the Host header and in TLS.
"""

from __future__ import annotations

import contextlib
import json
import queue
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import httpx_sse

from binderbox.errors import NoAnswer, reason_of, without_query
from binderbox.patience import patient
from binderbox.world.http.channel import CONNECT_TIMEOUT_S, Channel, opened

TICK_S = 1.0


class Web:
    """A browser's view of one member: names below `domain` are looked for at `address` if that is given.

    `headers` go with every request.
    """

    def __init__(
        self,
        domain: str,
        address: str | None = None,
        ca_pem: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.domain = domain
        self.address = address
        self.tls = ssl.create_default_context()
        if ca_pem:
            self.tls.load_verify_locations(cadata=ca_pem)
            self.tls.verify_flags |= (
                ssl.VERIFY_X509_PARTIAL_CHAIN
            )  # an issuer may vouch whose own one is unknown
        self.client = httpx.Client(
            verify=self.tls, timeout=CONNECT_TIMEOUT_S, trust_env=False, headers=headers
        )

    def close(self) -> None:
        self.client.close()

    def request(self, method: str, url: str, *, timeout_s: float = 30, **options: Any) -> httpx.Response:
        """One request, redirects not followed; raises NoAnswer."""
        try:
            return self.client.send(self._prepared(method, url, timeout_s, **options))
        except httpx.HTTPError as error:
            raise NoAnswer(f"{without_query(url)}: {reason_of(error)}") from error

    def events(self, url: str, *, silence_s: float) -> Iterator[Mapping[str, Any]]:
        """The JSON events of a stream, and an empty one for each second without any, for a look at the clock.

        A failed build's stream goes on for ever with keepalives, so the caller must be able to leave between events.
        Ends with the stream; raises NoAnswer after that much silence.
        """
        headers = {"Accept": "text/event-stream"}  # BinderHub takes no list here
        request = self._prepared("GET", url, silence_s, headers=headers)
        try:
            response = self.client.send(request, stream=True)
        except httpx.HTTPError as error:
            raise NoAnswer(f"{without_query(url)}: {reason_of(error)}") from error
        arrived: queue.SimpleQueue[Mapping[str, Any] | Exception | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read_events, args=(response, arrived), daemon=True)
        reader.start()
        try:
            while (event := _next(arrived)) is not None:
                if isinstance(event, Exception):
                    raise NoAnswer(f"{without_query(url)}: {reason_of(event)}") from event
                yield event
        finally:
            _hang_up(response)
            reader.join(CONNECT_TIMEOUT_S)

    def channel(
        self, url: str, *, handshake_s: float, at_most_s: float
    ) -> contextlib.AbstractContextManager[Channel]:
        """A websocket at an http or https address; see `world.http.channel`."""
        parts = urlsplit(url)
        place = self.address_of(parts.hostname or ""), parts.port or (443 if parts.scheme == "https" else 80)
        return opened(url, place, self.tls, handshake_s=handshake_s, at_most_s=at_most_s)

    def _prepared(self, method: str, url: str, timeout_s: float, **options: Any) -> httpx.Request:
        wanted = httpx.URL(url)
        there = wanted.copy_with(host=self.address_of(wanted.host))
        headers = {"Host": wanted.netloc.decode(), **options.pop("headers", {})}
        extensions = {
            "sni_hostname": wanted.host,
            "timeout": httpx.Timeout(
                patient(timeout_s), connect=patient(min(timeout_s, CONNECT_TIMEOUT_S))
            ).as_dict(),
        }
        return self.client.build_request(method, there, headers=headers, extensions=extensions, **options)

    def address_of(self, name: str) -> str:
        ours = name == self.domain or name.endswith("." + self.domain)
        return self.address if self.address and ours else name


def address_for(domain: str, host_address: str) -> str | None:
    """Where to look for a member: None when DNS knows its name, else its host (loopback for *.localhost)."""
    if domain == "localhost" or domain.endswith(".localhost"):
        return "127.0.0.1"  # RFC 6761; a resolver need not know these
    try:
        socket.getaddrinfo(domain, 443)
    except OSError:
        return host_address
    return None


def _read_events(
    response: httpx.Response, arrived: queue.SimpleQueue[Mapping[str, Any] | Exception | None]
) -> None:
    """Pass on the events of a stream, then why it ended: an exception, or None for an end in order."""
    try:
        with contextlib.closing(response):
            response.raise_for_status()
            for event in httpx_sse.EventSource(response).iter_sse():
                arrived.put(json.loads(event.data))
    except (httpx.HTTPError, httpx_sse.SSEError, OSError, ValueError) as error:
        arrived.put(error)
    else:
        arrived.put(None)


def _next(
    arrived: queue.SimpleQueue[Mapping[str, Any] | Exception | None],
) -> Mapping[str, Any] | Exception | None:
    try:
        return arrived.get(timeout=TICK_S)
    except queue.Empty:
        return {}


def _hang_up(response: httpx.Response) -> None:
    """End a stream under its reader's hands; a mere close would leave the reader waiting."""
    sock = response.extensions["network_stream"].get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        sock.shutdown(socket.SHUT_RDWR)
