"""A websocket to a user's server, that ends when its time is over whatever the other end does."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

from websockets.exceptions import WebSocketException
from websockets.sync.client import ClientConnection, connect

from binderbox.errors import NoAnswer, reason_of
from binderbox.patience import patient

CONNECT_TIMEOUT_S = 10
GRACE_S = 3.0  # for a websocket to end by itself after its time


class Channel:
    """Messages as JSON. What breaks raises NoAnswer, what takes too long TimeoutError."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    def send(self, message: Any) -> None:
        with told():
            self._connection.send(json.dumps(message))

    def receive(self, timeout_s: float) -> Any:
        with told():
            return json.loads(self._connection.recv(timeout=timeout_s))


@contextlib.contextmanager
def opened(
    url: str, place: tuple[str, int], tls: Any, *, handshake_s: float, at_most_s: float
) -> Iterator[Channel]:
    """Connect to `place` for the http or https address `url`; `tls` is the context for the second.

    Raises TimeoutError when the handshake was given its time, NoAnswer for everything else.
    """
    parts = urlsplit(url)
    secure = {"ssl": tls, "server_hostname": parts.hostname} if parts.scheme == "https" else {}
    open_s = max(0.1, min(handshake_s, at_most_s))
    with told():
        sock = socket.create_connection(place, patient(CONNECT_TIMEOUT_S))
    with (
        sock.dup() as same,  # TLS takes the descriptor of `sock` over
        _cut_after(same, at_most_s + GRACE_S),
    ):
        with told(), _cut_after(same, open_s + GRACE_S):
            there = parts._replace(scheme="wss" if secure else "ws").geturl()
            opening = connect(there, sock=sock, open_timeout=open_s, max_size=None, **secure)
            connection = opening.__enter__()  # since websockets 17 the handshake is made here
        try:
            yield Channel(connection)
        finally:
            with contextlib.suppress(OSError, WebSocketException):
                connection.close()


@contextlib.contextmanager
def told() -> Iterator[None]:
    """What a websocket raises, as NoAnswer; a TimeoutError stays one."""
    try:
        yield
    except TimeoutError:
        raise
    except (OSError, WebSocketException, ValueError) as error:
        raise NoAnswer(reason_of(error)) from error


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
