"""The frames that a build pod and the build door exchange; both programs ship this file.

A frame is one byte of kind, four bytes of length (big endian), and the payload.

    pod  -> door   HEADER   JSON object, once: protocol, tag, dockerfile, buildargs, labels, platform
    door -> pod    LOG      text, one or more lines: the place in line, from here on at any time
    door -> pod    GO       empty: send the context (or RESULT at once: refused)
    pod  -> door   DATA     a piece of the context, which is one tar archive
    pod  -> door   END      empty: the context is complete; nothing follows
    door -> pod    LOG      and so on
    door -> pod    RESULT   JSON object, last: ok, error, tail (last log lines), digest

Either side that closes the connection ends the build. Every kind has a ceiling, so a reader never
allocates what a stranger announces. Standard library only, Python 3.10 or newer.
"""

from __future__ import annotations

import json
import socket
import struct
import time
from typing import Any

PROTOCOL = 2

HEADER, GO, DATA, END, LOG, RESULT = b"H", b"G", b"D", b"E", b"L", b"R"
CEILINGS = {
    HEADER: 256 << 10,  # build args and labels travel in it, and end as arguments of one command
    GO: 0,
    DATA: 1 << 20,
    END: 0,
    LOG: 256 << 10,
    RESULT: 256 << 10,
}
CHUNK = 256 << 10

_PREFIX = struct.Struct(">cI")


class WireError(Exception):
    """The other side does not speak this protocol, or breaks one of its ceilings."""


class Closed(WireError):
    """The other side is gone."""


def send(sock: socket.socket, kind: bytes, payload: bytes = b"") -> None:
    """Send one frame. The socket's timeout bounds how long a reader that does not read may hold us."""
    if len(payload) > CEILINGS[kind]:
        raise WireError(f"a frame {kind!r} of {len(payload)} bytes is above its ceiling {CEILINGS[kind]}")
    try:
        sock.sendall(_PREFIX.pack(kind, len(payload)) + payload)
    except (BrokenPipeError, ConnectionResetError) as error:
        raise Closed(f"the other side closed the connection ({error})") from None


def send_json(sock: socket.socket, kind: bytes, value: dict[str, Any]) -> None:
    send(sock, kind, json.dumps(value).encode())


def receive(sock: socket.socket, expected: bytes, within_s: float | None = None) -> tuple[bytes, bytes]:
    """Return (kind, payload) of the next frame.

    + expected: the kinds that may come now, as one bytes object, for example DATA + END
    + within_s: the whole frame must be here by then, however it is dripped; the socket's own timeout
      counts from byte to byte only
    """
    deadline = None if within_s is None else time.monotonic() + within_s
    prefix = _exactly(sock, _PREFIX.size, deadline)
    kind, length = _PREFIX.unpack(prefix)
    if kind not in expected:
        raise WireError(f"expected one of {expected!r}, found {kind!r}")
    if length > CEILINGS[kind]:
        raise WireError(f"a frame {kind!r} of {length} bytes is above its ceiling {CEILINGS[kind]}")
    return kind, _exactly(sock, length, deadline)


def receive_json(sock: socket.socket, kind: bytes, within_s: float | None = None) -> dict[str, Any]:
    return parse_json(receive(sock, kind, within_s)[1])


def parse_json(payload: bytes) -> dict[str, Any]:
    try:
        value = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise WireError(f"not JSON: {error}") from None
    if not isinstance(value, dict):
        raise WireError(f"expected a JSON object, found {type(value).__name__}")
    return value


def _exactly(sock: socket.socket, length: int, deadline: float | None) -> bytes:
    parts = bytearray()
    patience_s = sock.gettimeout()
    try:
        while len(parts) < length:
            if deadline is not None:
                left_s = deadline - time.monotonic()
                if left_s <= 0:
                    raise TimeoutError("a frame did not arrive in time")
                sock.settimeout(left_s if patience_s is None else min(left_s, patience_s))
            try:
                piece = sock.recv(length - len(parts))
            except ConnectionResetError as error:
                raise Closed(f"the other side closed the connection ({error})") from None
            if not piece:
                raise Closed("the other side closed the connection")
            parts += piece
    finally:
        sock.settimeout(patience_s)
    return bytes(parts)
