"""Kernels of a user's server, spoken to as a notebook's page does it: over the server's own API and a websocket."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
import uuid
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode, urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import connect

from binderbox.world.http.web import CONNECT_TIMEOUT_S, NoAnswer, Web, reason_of

HANDSHAKE_S = 20.0  # for the first try, and twice as long for each after it
GRACE_S = 3.0  # for a websocket to end by itself after its time


def evaluate(web: Web, server_url: str, token: str, code: str, *, timeout_s: float = 150) -> str:
    """Run `code` in a new kernel of a user's server and return what it printed.

    A kernel whose handshake gets no answer is replaced by another: jupyter_server (2.21) puts the handshake off until
    the kernel has answered it, for up to 60 s. One whose port was taken before it had started never does, and a second
    handshake with it waits for the first. Raises NoAnswer with the kernel's own error, or when it gave none.
    """
    deadline, handshake_s = time.monotonic() + timeout_s, HANDSHAKE_S
    query = urlencode({"token": token})
    while True:
        answer = web.request("POST", f"{server_url}api/kernels?{query}", timeout_s=timeout_s, json={})
        if answer.status_code != 201:
            raise NoAnswer(f"{server_url}api/kernels: HTTP {answer.status_code} {answer.text[:200]}")
        kernel = f"{server_url}api/kernels/{answer.json()['id']}"
        try:
            return _execute(web, f"{kernel}/channels?{query}", code, handshake_s, deadline)
        except (OSError, WebSocketException) as error:
            if not isinstance(error, TimeoutError) or time.monotonic() >= deadline:
                raise NoAnswer(f"kernel at {kernel}: {reason_of(error)}") from error
        with contextlib.suppress(NoAnswer):  # the server is stopped in the end, and its kernels with it
            web.request("DELETE", f"{kernel}?{query}", timeout_s=HANDSHAKE_S)
        handshake_s *= 2


def _execute(web: Web, channels_url: str, code: str, handshake_s: float, deadline: float) -> str:
    """Raises TimeoutError when the handshake, or the code, was given its time; OSError, WebSocketException."""
    parts = urlsplit(channels_url)
    secure = parts.scheme == "https"
    tls: dict[str, Any] = {"ssl": web.tls, "server_hostname": parts.hostname} if secure else {}
    place = web.address_of(parts.hostname or ""), parts.port or (443 if secure else 80)
    left_s = deadline - time.monotonic()
    open_s = max(0.1, min(handshake_s, left_s))
    sock = socket.create_connection(place, CONNECT_TIMEOUT_S)
    with (
        sock.dup() as same,  # TLS takes the descriptor of `sock` over
        _cut_after(same, left_s + GRACE_S),
    ):
        with _cut_after(same, open_s + GRACE_S):
            url = parts._replace(scheme="wss" if secure else "ws").geturl()
            channel = connect(url, sock=sock, open_timeout=open_s, max_size=None, **tls)
        with channel:
            request_id = uuid.uuid4().hex
            channel.send(json.dumps(_execute_request(request_id, code)))
            return _printed(channel, request_id, deadline)


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
