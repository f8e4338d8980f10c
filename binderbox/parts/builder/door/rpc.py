"""One call of a gRPC service over a Unix socket, as its PROTOCOL-HTTP2.md has it: one request, one answer.

`ctr` is a part of the node's k3s, of which each start costs a tenth of a second of a processor and more; a call costs a thousandth.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError

STREAM = 1  # the first of a client's
CHUNK = 1 << 16


class RpcError(Exception):
    """The call failed; the text is the server's, or says what came in place of an answer."""


def call(path: str, method: str, message: bytes, metadata: Mapping[str, str], timeout_s: float) -> bytes:
    """Call `/package.Service/Method` with an encoded message; the answer's, encoded.

    Raises RpcError where the server refuses or says something else, OSError (TimeoutError) where it is away or late.
    """
    deadline = time.monotonic() + timeout_s
    http = H2Connection(H2Configuration(header_encoding="utf-8"))
    try:
        with socket.socket(socket.AF_UNIX) as stream:
            stream.settimeout(timeout_s)
            stream.connect(path)
            http.initiate_connection()
            http.send_headers(
                STREAM,
                [
                    (":method", "POST"),
                    (":scheme", "http"),
                    (":path", method),
                    (":authority", "localhost"),
                    ("te", "trailers"),
                    ("content-type", "application/grpc"),
                    *metadata.items(),
                ],
            )
            http.send_data(STREAM, b"\0" + len(message).to_bytes(4, "big") + message, end_stream=True)
            stream.sendall(http.data_to_send())
            return _answer(http, stream, deadline)
    except ProtocolError as error:  # a message of more than one frame, 16 kB, among them
        raise RpcError(f"no gRPC: {error}") from None


def _answer(http: H2Connection, stream: socket.socket, deadline: float) -> bytes:
    body, said = bytearray(), dict[str, str]()
    while data := _received(stream, deadline):
        for event in http.receive_data(data):
            match event:
                case DataReceived():
                    body += event.data
                    http.acknowledge_received_data(event.flow_controlled_length, STREAM)
                case ResponseReceived() | TrailersReceived():
                    said |= {str(name): str(value) for name, value in event.headers}
                case StreamEnded():
                    return _checked(body, said)
                case StreamReset() | ConnectionTerminated():
                    raise RpcError(f"the call was given up: {event!r}"[:400])
        stream.sendall(http.data_to_send())
    raise RpcError("the connection was closed before an answer")


def _received(stream: socket.socket, deadline: float) -> bytes:
    left = deadline - time.monotonic()
    if left <= 0:
        raise TimeoutError("no answer in time")
    stream.settimeout(left)
    return stream.recv(CHUNK)


def _checked(body: bytes | bytearray, said: Mapping[str, str]) -> bytes:
    if said.get("grpc-status") != "0":
        code = said.get("grpc-status", f"none, HTTP {said.get(':status')}")
        raise RpcError(unquote(said.get("grpc-message", "")) or f"gRPC status {code}")
    if len(body) < 5 or body[0] or int.from_bytes(body[1:5], "big") != len(body) - 5:
        raise RpcError("the answer is no whole message")
    return bytes(body[5:])
