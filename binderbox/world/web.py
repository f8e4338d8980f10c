"""HTTP, event streams and kernels, as a user's browser would meet them.

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
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import httpx_sse
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from binderbox.launch import BUILD_TOKEN, without_query

CONNECT_TIMEOUT_S = 10
TICK_S = 1.0
HANDSHAKE_S = 20.0
GRACE_S = 3.0  # for a websocket to end by itself after its time


class NoAnswer(Exception):
    """There was no answer to a request, or not in time; the text says why."""


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
        self.tls = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
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
            raise NoAnswer(f"{without_query(url)}: {_reason(error)}") from error

    def build_token(self, page_url: str) -> str:
        """The token that BinderHub's launch page carries for its own script; builds with it are not counted.

        Without one an address has 10 builds an hour. Raises NoAnswer.
        """
        page = self.request("GET", page_url)
        found = BUILD_TOKEN.search(page.text)
        if page.status_code != 200 or found is None:
            raise NoAnswer(f"{page_url}: HTTP {page.status_code}, and no build token in the page")
        return found[1]

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
            raise NoAnswer(f"{without_query(url)}: {_reason(error)}") from error
        arrived: queue.SimpleQueue[Mapping[str, Any] | Exception | None] = queue.SimpleQueue()
        reader = threading.Thread(target=_read_events, args=(response, arrived), daemon=True)
        reader.start()
        try:
            while (event := _next(arrived)) is not None:
                if isinstance(event, Exception):
                    raise NoAnswer(f"{without_query(url)}: {_reason(event)}") from event
                yield event
        finally:
            _hang_up(response)
            reader.join(CONNECT_TIMEOUT_S)

    def evaluate(self, server_url: str, token: str, code: str, *, timeout_s: float = 60) -> str:
        """Run `code` in a new kernel of a user's server and return what it printed.

        Raises NoAnswer with the kernel's own error, or when it gave none.
        """
        query = urlencode({"token": token})
        answer = self.request("POST", f"{server_url}api/kernels?{query}", timeout_s=timeout_s, json={})
        if answer.status_code != 201:
            raise NoAnswer(f"{server_url}api/kernels: HTTP {answer.status_code} {answer.text[:200]}")
        channels = f"{server_url}api/kernels/{answer.json()['id']}/channels?{query}".replace("http", "ws", 1)
        return self.run_in_kernel(channels, code, timeout_s)

    def run_in_kernel(self, channels_url: str, code: str, timeout_s: float) -> str:
        """Run `code` through a kernel's websocket; raises NoAnswer. A handshake without an answer is tried again."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                return self._execute(channels_url, code, deadline)
            except (OSError, WebSocketException) as error:
                # A kernel that is still starting may leave the first handshake without an answer; pages try again.
                if not isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                    raise NoAnswer(f"kernel at {without_query(channels_url)}: {_reason(error)}") from error

    def _execute(self, url: str, code: str, deadline: float) -> str:
        parts = urlsplit(url)
        secure = parts.scheme == "wss"
        tls: dict[str, Any] = {"ssl": self.tls, "server_hostname": parts.hostname} if secure else {}
        place = self.address_of(parts.hostname or ""), parts.port or (443 if secure else 80)
        left_s = deadline - time.monotonic()
        open_s = max(0.1, min(HANDSHAKE_S, left_s))
        sock = socket.create_connection(place, CONNECT_TIMEOUT_S)
        with (
            sock.dup() as same,
            _cut_after(same, left_s + GRACE_S),
        ):  # TLS takes the descriptor of `sock` over
            with _cut_after(same, open_s + GRACE_S):
                channel = connect(url, sock=sock, open_timeout=open_s, max_size=None, **tls)
            with channel:
                request_id = uuid.uuid4().hex
                channel.send(json.dumps(_execute_request(request_id, code)))
                return _printed(channel, request_id, deadline)

    def _prepared(self, method: str, url: str, timeout_s: float, **options: Any) -> httpx.Request:
        wanted = httpx.URL(url)
        there = wanted.copy_with(host=self.address_of(wanted.host))
        headers = {"Host": wanted.netloc.decode(), **options.pop("headers", {})}
        extensions = {
            "sni_hostname": wanted.host,
            "timeout": httpx.Timeout(timeout_s, connect=CONNECT_TIMEOUT_S).as_dict(),
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


@contextlib.contextmanager
def _cut_after(sock: socket.socket, seconds: float) -> Iterator[None]:
    """End a connection that is still there after so long.

    When its handshake gets no answer, websockets (17.4) waits without a limit for a thread that reads from TLS.
    """

    def end() -> None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)

    cut = threading.Timer(seconds, end)
    cut.daemon = True
    cut.start()
    try:
        yield
    finally:
        cut.cancel()


def _hang_up(response: httpx.Response) -> None:
    """End a stream under its reader's hands; a mere close would leave the reader waiting."""
    sock = response.extensions["network_stream"].get_extra_info("socket")
    with contextlib.suppress(OSError, AttributeError):
        sock.shutdown(socket.SHUT_RDWR)


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _execute_request(request_id: str, code: str) -> dict[str, Any]:
    header = {
        "msg_id": request_id,
        "msg_type": "execute_request",
        "session": request_id,
        "username": "",
        "version": "5.3",
    }
    content = {
        "code": code,
        "silent": False,
        "store_history": False,
        "allow_stdin": False,
        "stop_on_error": True,
    }
    return {"header": header, "parent_header": {}, "metadata": {}, "channel": "shell", "content": content}


def _printed(channel: Any, request_id: str, deadline: float) -> str:
    printed = ""
    while True:
        message = json.loads(channel.recv(timeout=max(0.1, deadline - time.monotonic())))
        if message.get("parent_header", {}).get("msg_id") != request_id:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                printed += content["text"] if content["name"] == "stdout" else ""
            case "execute_result":
                printed += content["data"]["text/plain"]
            case "error":
                raise NoAnswer(f"the kernel said {content['ename']}: {content['evalue']}")
            case "status" if content["execution_state"] == "idle":
                return printed
