"""Kernels of a user's server, spoken to as a notebook's page does it: over the server's own API and a websocket.

Here is what is said; `world.http` carries it.
"""

from __future__ import annotations

import contextlib
import time
import uuid
from contextlib import AbstractContextManager
from typing import Any, Protocol
from urllib.parse import urlencode

from binderbox.errors import NoAnswer, reason_of

HANDSHAKE_S = 20.0  # for the first try, and twice as long for each after it


class KernelFailed(NoAnswer):
    """The code ended with an error of its own."""


class Channel(Protocol):
    """A websocket of JSON messages; both raise NoAnswer, and TimeoutError for what takes too long."""

    def send(self, message: Any) -> None: ...
    def receive(self, timeout_s: float) -> Any: ...


class Browser(Protocol):
    """What a page can do: requests (NoAnswer when there is none), and websockets."""

    def request(self, method: str, url: str, *, timeout_s: float = 30, **options: Any) -> Any: ...
    def channel(
        self, url: str, *, handshake_s: float, at_most_s: float
    ) -> AbstractContextManager[Channel]: ...


def evaluate(web: Browser, server_url: str, token: str, code: str, *, timeout_s: float = 150) -> str:
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
        except KernelFailed:
            raise
        except (NoAnswer, TimeoutError) as error:
            if isinstance(error, NoAnswer) or time.monotonic() >= deadline:
                raise NoAnswer(f"kernel at {kernel}: {reason_of(error)}") from error
        with contextlib.suppress(NoAnswer):  # the server is stopped in the end, and its kernels with it
            web.request("DELETE", f"{kernel}?{query}", timeout_s=HANDSHAKE_S)
        handshake_s *= 2


def _execute(web: Browser, channels_url: str, code: str, handshake_s: float, deadline: float) -> str:
    """Raises TimeoutError when the handshake, or the code, was given its time; NoAnswer."""
    left_s = deadline - time.monotonic()
    with web.channel(channels_url, handshake_s=handshake_s, at_most_s=left_s) as channel:
        request_id = uuid.uuid4().hex
        channel.send(_execute_request(request_id, code))
        return _printed(channel, request_id, deadline)


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


def _printed(channel: Channel, request_id: str, deadline: float) -> str:
    printed = ""
    while True:
        message = channel.receive(max(0.1, deadline - time.monotonic()))
        if message.get("parent_header", {}).get("msg_id") != request_id:
            continue
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                printed += content["text"] if content["name"] == "stdout" else ""
            case "execute_result":
                printed += content["data"]["text/plain"]
            case "error":
                raise KernelFailed(f"the kernel said {content['ename']}: {content['evalue']}")
            case "status" if content["execution_state"] == "idle":
                return printed
