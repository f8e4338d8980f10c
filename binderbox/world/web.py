"""HTTP, event streams and kernels, as a user's browser would meet them.

A member whose name no public DNS knows yet (a demo, a test, a host before its records are set) is reached at
the address given, with its name in the Host header and in TLS.
"""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode, urlsplit

import httpx
import httpx_sse
from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

CONNECT_TIMEOUT_S = 10


class NoAnswer(Exception):
    """There was no answer to a request, or not in time; the text says why."""


class Web:
    """A browser's view of one member: names below `domain` are looked for at `address` if that is given."""

    def __init__(self, domain: str, address: str | None = None, ca_pem: str | None = None) -> None:
        self.domain = domain
        self.address = address
        self.tls = ssl.create_default_context(cadata=ca_pem) if ca_pem else ssl.create_default_context()
        self.client = httpx.Client(verify=self.tls, timeout=CONNECT_TIMEOUT_S, trust_env=False)

    def close(self) -> None:
        self.client.close()

    def request(self, method: str, url: str, *, timeout_s: float = 30, **options: Any) -> httpx.Response:
        """One request, redirects not followed; raises NoAnswer."""
        try:
            return self.client.send(self._prepared(method, url, timeout_s, **options))
        except httpx.HTTPError as error:
            raise NoAnswer(f"{url}: {_reason(error)}") from error

    def events(self, url: str, *, silence_s: float) -> Iterator[Mapping[str, Any]]:
        """The JSON events of a stream; ends with the stream, raises NoAnswer after that much silence."""
        headers = {"Accept": "text/event-stream"}  # BinderHub takes no list here
        request = self._prepared("GET", url, silence_s, headers=headers)
        try:
            with contextlib.closing(self.client.send(request, stream=True)) as response:
                response.raise_for_status()
                for event in httpx_sse.EventSource(response).iter_sse():
                    yield json.loads(event.data)
        except (httpx.HTTPError, httpx_sse.SSEError, ValueError) as error:
            raise NoAnswer(f"{url}: {_reason(error)}") from error

    def evaluate(self, server_url: str, token: str, code: str, *, timeout_s: float = 60) -> str:
        """Run `code` in a new kernel of a user's server and return what it printed.

        Raises NoAnswer with the kernel's own error, or when it gave none.
        """
        query = urlencode({"token": token})
        answer = self.request("POST", f"{server_url}api/kernels?{query}", timeout_s=timeout_s, json={})
        if answer.status_code != 201:
            raise NoAnswer(f"{server_url}api/kernels: HTTP {answer.status_code} {answer.text[:200]}")
        kernel_id = answer.json()["id"]
        url = f"{server_url}api/kernels/{kernel_id}/channels?{query}".replace("http", "ws", 1)
        parts = urlsplit(url)
        port = parts.port or (443 if parts.scheme == "wss" else 80)
        tls: dict[str, Any] = (
            {"ssl": self.tls, "server_hostname": parts.hostname} if parts.scheme == "wss" else {}
        )
        try:
            sock = socket.create_connection((self.address_of(parts.hostname or ""), port), CONNECT_TIMEOUT_S)
            with connect(url, sock=sock, open_timeout=timeout_s, max_size=None, **tls) as channel:
                request_id = uuid.uuid4().hex
                channel.send(json.dumps(_execute_request(request_id, code)))
                return _printed(channel, request_id, time.monotonic() + timeout_s)
        except (OSError, WebSocketException) as error:
            raise NoAnswer(f"kernel at {server_url}: {_reason(error)}") from error

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
