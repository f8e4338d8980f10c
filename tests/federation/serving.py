"""What the small servers of these tests share: HTTP or HTTPS in a thread, and a client that knows names DNS does not."""

from __future__ import annotations

import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import httpx

from binderbox.federation.redirector.rules import Answer


class Served:
    """A server in a thread, from `with` or from `start` to `close`. `port` 0 takes a free one."""

    handler: type[BaseHTTPRequestHandler]

    def __init__(self, *, bind: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None) -> None:
        self.server = _Server((bind, port), self.handler)
        self.server.owner = self
        self.scheme = "http" if tls is None else "https"
        if tls is not None:
            # the handshake belongs in the connection's own thread: one silent client must not stop the others
            self.server.socket = tls.wrap_socket(
                self.server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port: int = self.server.server_address[1]
        self.url = f"{self.scheme}://{'127.0.0.1' if bind == '0.0.0.0' else bind}:{self.port}"
        self.started = time.monotonic()
        self._thread = threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True)

    def start(self) -> None:
        self.started = time.monotonic()
        self._thread.start()

    def close(self) -> None:
        if self._thread.is_alive():
            self.server.shutdown()
            self._thread.join()
        self.server.server_close()

    def seconds(self) -> float:
        return time.monotonic() - self.started


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
    owner: Any

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is no news."""


class Handler(BaseHTTPRequestHandler):
    """Every method comes to `answer`."""

    protocol_version = "HTTP/1.1"

    def answer(self) -> None:
        raise NotImplementedError

    def _any_method(self) -> None:
        if self.command not in ("GET", "HEAD"):
            self.close_connection = True  # a body that nobody reads must not be taken for the next request
        self.answer()

    def log_message(self, format: str, *args: Any) -> None:
        pass

    def send(
        self, status: int, body: bytes = b"", headers: Mapping[str, str] | Sequence[tuple[str, str]] = ()
    ) -> None:
        self.send_response(status)
        for name, value in dict(headers).items() if isinstance(headers, Mapping) else headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_json(self, status: int, body: Any, headers: Mapping[str, str] = {}) -> None:
        self.send(status, json.dumps(body).encode(), {"Content-Type": "application/json", **headers})


for _method in ("GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH"):
    setattr(Handler, f"do_{_method}", Handler._any_method)


def decode_as_libcurl(response: httpx.Response) -> None:
    """Take `x-gzip` for gzip, as the redirector's client does; raises DecodingError for what it does not undo."""
    encoding = response.headers.get("content-encoding", "identity").lower()
    if encoding == "x-gzip":
        response.headers["content-encoding"] = "gzip"
    elif encoding not in ("identity", "none", "gzip", "deflate"):
        response.close()
        raise httpx.DecodingError(f"libcurl does not undo {encoding}")


class Asker:
    """A client for members whose name no DNS knows: `addresses` names each one's address, `ca_pem` who vouches for it."""

    def __init__(self, *, ca_pem: str | None = None, addresses: Mapping[str, str] = {}) -> None:
        self.addresses = dict(addresses)
        tls = ssl.create_default_context(cadata=ca_pem)
        self.client = httpx.Client(verify=tls, trust_env=False)

    def __call__(self, url: str, timeout_s: float) -> Answer:
        """What the redirector's checks get: any fault is an answer with status 0 or with `error`."""
        try:
            response = self.get(url, timeout_s)
        except (httpx.HTTPError, OSError) as error:
            return Answer(0, error=f"{type(error).__name__} {error}")
        if not 200 <= response.status_code < 300:
            return Answer(response.status_code)
        try:
            return Answer(response.status_code, json.loads(response.content))
        except (ValueError, RecursionError) as error:
            return Answer(response.status_code, error=f"no JSON: {error}")

    def get(self, url: str, timeout_s: float, headers: Mapping[str, str] = {}) -> httpx.Response:
        """One GET, redirects followed as the redirector does (five), all of it within `timeout_s`."""
        deadline = time.monotonic() + timeout_s
        for _ in range(6):
            response = self._get_once(url, deadline, headers)
            if not response.has_redirect_location:
                break
            url = str(httpx.URL(url).join(response.headers["Location"]))
        return response

    def _get_once(self, url: str, deadline: float, headers: Mapping[str, str]) -> httpx.Response:
        wanted = httpx.URL(url)
        there = wanted.copy_with(host=self.addresses.get(wanted.host, wanted.host))
        request = self.client.build_request(
            "GET",
            there,
            headers={**headers, "Host": wanted.netloc.decode()},
            timeout=max(0.001, deadline - time.monotonic()),
            extensions={"sni_hostname": wanted.host},
        )
        response = self.client.send(request, stream=True)
        decode_as_libcurl(response)
        try:
            chunks = []
            for chunk in response.iter_bytes():
                chunks.append(chunk)
                if time.monotonic() > deadline:
                    raise httpx.ReadTimeout(f"{url} was not finished in time")
        finally:
            response.close()
        kept = [
            (k, v)
            for k, v in response.headers.multi_items()
            if k not in ("content-encoding", "content-length")
        ]
        return httpx.Response(response.status_code, headers=kept, content=b"".join(chunks), request=request)
