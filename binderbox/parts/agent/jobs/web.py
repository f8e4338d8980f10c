"""HTTP as the agent needs it: small answers from known places, and this member as a visitor reaches it."""

from __future__ import annotations

import http.client
import json
import socket
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from binderbox.errors import NoAnswer, without_query
from binderbox.federation.following.follow import place_allowed

MB = 1024 * 1024
SMALL_MB = 1
TIMEOUT_S = 15


class _Allowed(urllib.request.HTTPRedirectHandler):
    """Redirects stay below the places, or, where there are none, with the host that was asked."""

    def __init__(self, places: tuple[str, ...]) -> None:
        self.places = places

    def redirect_request(self, req: Any, fp: Any, code: int, msg: str, headers: Any, newurl: str) -> Any:
        there, here = urlsplit(newurl), urlsplit(req.full_url)
        same = (there.scheme, there.netloc) == (here.scheme, here.netloc)
        if not (place_allowed(newurl, self.places) if self.places else same):
            raise NoAnswer(
                f"{without_query(req.full_url)}: it redirects to {without_query(newurl)}, which is elsewhere"
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def fetch(
    url: str, *, limit_mb: float = SMALL_MB, timeout_s: float = TIMEOUT_S, places: tuple[str, ...] = ()
) -> bytes:
    """The body of a GET, all of it within a time and a size; raises NoAnswer. Redirects lead below `places` only."""
    deadline = time.monotonic() + timeout_s
    opener = urllib.request.build_opener(_Allowed(places))
    try:
        with opener.open(
            urllib.request.Request(url, headers={"User-Agent": "binderbox"}), timeout=timeout_s
        ) as answer:
            data = b""
            while block := answer.read(64 * 1024):
                data += block
                if len(data) > limit_mb * MB:
                    raise NoAnswer(f"{without_query(url)}: more than {limit_mb:g} MB")
                if time.monotonic() > deadline:
                    raise NoAnswer(f"{without_query(url)}: not finished within {timeout_s:.0f} s")
            return data
    except urllib.error.HTTPError as error:
        raise NoAnswer(f"{without_query(url)}: HTTP {error.code}") from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise NoAnswer(
            f"{without_query(url)}: {getattr(error, 'reason', None) or error or type(error).__name__}"
        ) from error


def fetch_json(url: str) -> Any:
    """The same, read as JSON."""
    body = fetch(url)
    try:
        return json.loads(body)
    except ValueError as error:
        raise NoAnswer(f"{without_query(url)}: no JSON: {body[:60]!r}") from error


class Member:
    """This member through its own public address, looked for at the node itself."""

    def __init__(self, binder_url: str, address: str, ca_file: str, issuers: str = "") -> None:
        """`issuers`, in PEM, are trusted beside the node's own authorities or `ca_file`."""
        self.binder_url, self.address = binder_url, address
        self.tls = ssl.create_default_context(cafile=ca_file or None)
        if issuers:
            self.tls.load_verify_locations(cadata=issuers)
            self.tls.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN

    def request(
        self, method: str, url: str, *, body: bytes | None = None, timeout_s: float = TIMEOUT_S
    ) -> bytes:
        """One request, whose answer must be a 2xx; raises NoAnswer."""
        connection, answer = self._ask(method, url, timeout_s, {}, body)
        try:
            data = answer.read(SMALL_MB * MB)
        except (OSError, http.client.HTTPException) as error:
            raise NoAnswer(f"{without_query(url)}: {error or type(error).__name__}") from error
        finally:
            connection.close()
        if not 200 <= answer.status < 300:
            raise NoAnswer(
                f"{without_query(url)}: HTTP {answer.status} {data[:200].decode(errors='replace')}"
            )
        return data

    def events(self, url: str, silence_s: float) -> Iterator[dict[str, Any]]:
        """The JSON events of a stream until it ends, and an empty one for each keepalive, for a look at the clock.

        A failed build's stream goes on for ever. Raises NoAnswer after that much silence.
        """
        connection, answer = self._ask("GET", url, silence_s, {"Accept": "text/event-stream"})
        try:
            if answer.status != 200:
                raise NoAnswer(f"{without_query(url)}: HTTP {answer.status}")
            for line in answer:
                if line.startswith(b"data:"):
                    yield json.loads(line[5:])
                elif line.startswith(b":"):
                    yield {}
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(f"{without_query(url)}: {error or type(error).__name__}") from error
        finally:
            connection.close()

    def _ask(
        self, method: str, url: str, timeout_s: float, headers: dict[str, str], body: bytes | None = None
    ) -> tuple[http.client.HTTPSConnection, http.client.HTTPResponse]:
        parts = urlsplit(url)
        connection = _At(self.address, parts.hostname or "", parts.port or 443, self.tls, timeout_s)
        path = parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            connection.request(method, path, body=body, headers={"Host": parts.netloc, **headers})
            return connection, connection.getresponse()
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise NoAnswer(f"{without_query(url)}: {error or type(error).__name__}") from error


class _At(http.client.HTTPSConnection):
    """A connection to an address, under a name."""

    def __init__(self, address: str, name: str, port: int, tls: ssl.SSLContext, timeout_s: float) -> None:
        super().__init__(name, port, timeout=timeout_s, context=tls)
        self._where, self._tls = (address, port), tls

    def connect(self) -> None:
        plain = socket.create_connection(self._where, self.timeout)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
