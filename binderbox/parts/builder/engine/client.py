"""Hands one build to the door and yields what the build says."""

from __future__ import annotations

import errno
import os
import socket
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import suppress
from typing import Any

from . import wire

DOOR = "/run/binderbox/door/door.sock"
CONNECT_FOR_S = 60.0  # longer than the door takes to be restarted by an upgrade of the node
ANSWER_WITHIN_S = 120.0  # the door asks the API server who we are, which may restart: 100 s (door/pods.py)
LISTEN_FOR_S = 6 * 3600.0  # the door ends a build long before; this only ends a wait for a door that hangs


class DoorError(Exception):
    """The door refused the build, or the build failed. The text is what the user of the repository sees."""


def door_path() -> str:
    return os.environ.get("BINDERBOX_DOOR", DOOR)


def build(
    header: dict[str, Any], send_context: Callable[[Callable[[bytes], None]], None], path: str | None = None
) -> Iterator[str]:
    """Yield the build's log as text; return when the image is launchable, else raise DoorError.

    + header: what wire.HEADER carries, without `protocol`
    + send_context: sends the context through the function it is given
    + path: the door's socket; from the environment if not given
    """
    with _connect(path or door_path()) as sock:
        try:
            sock.settimeout(ANSWER_WITHIN_S)
            with suppress(wire.Closed):  # refused at first sight; the reason waits to be read
                wire.send_json(sock, wire.HEADER, {"protocol": wire.PROTOCOL, **header})
            kind, payload = yield from _log_until(sock, wire.GO + wire.RESULT)
            if kind == wire.GO:
                _send_context(sock, send_context)
                kind, payload = yield from _log_until(sock, wire.RESULT)
            result = wire.parse_json(payload)
        except (wire.WireError, OSError) as error:
            raise DoorError(
                f"The connection to the build door broke off: {error}. Please try again."
            ) from error
    if not result.get("ok"):
        raise DoorError(_reason(result))


def _log_until(sock: socket.socket, wanted: bytes) -> Generator[str, None, tuple[bytes, bytes]]:
    """Yield the log until a frame of the wanted kinds comes, and return that."""
    while True:
        kind, payload = wire.receive(sock, wire.LOG + wanted)
        sock.settimeout(LISTEN_FOR_S)
        if kind != wire.LOG:
            return kind, payload
        yield from payload.decode("utf-8", "replace").splitlines(keepends=True)


def _send_context(sock: socket.socket, send_context: Callable[[Callable[[bytes], None]], None]) -> None:
    with suppress(wire.Closed):  # the door ended it, for example at its ceiling; its reason waits to be read
        send_context(lambda piece: _send_pieces(sock, piece))
        wire.send(sock, wire.END)


def _send_pieces(sock: socket.socket, piece: bytes) -> None:
    for start in range(0, len(piece), wire.CHUNK):
        wire.send(sock, wire.DATA, piece[start : start + wire.CHUNK])


def _reason(result: dict[str, Any]) -> str:
    error = str(result.get("error") or "the build failed without a reason")
    tail = str(result.get("tail") or "").rstrip()
    return f"{error}\n{tail}" if tail else error


def _connect(path: str) -> socket.socket:
    deadline = time.monotonic() + CONNECT_FOR_S
    while True:
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            sock.connect(path)
            return sock
        except OSError as error:
            sock.close()
            absent = error.errno in (errno.ENOENT, errno.ECONNREFUSED, errno.EAGAIN)
            if not absent or time.monotonic() > deadline:
                raise DoorError(f"The build door at {path} does not answer: {error}.") from None
            time.sleep(0.5)
