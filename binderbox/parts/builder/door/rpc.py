"""One call of a gRPC service over a Unix socket, as its PROTOCOL-HTTP2.md has it: one request, and whether it was done.

`ctr` is a part of the node's k3s, of which each start costs what a start of all of Kubernetes' program costs:
docs/decisions/containerd-by-its-api.md.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from urllib.parse import unquote

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.events import ConnectionTerminated, ResponseReceived, StreamEnded, StreamReset, TrailersReceived
from h2.exceptions import ProtocolError

STREAM = 1  # the first of a client's
CHUNK = 1 << 16
BACK_WITHIN_S = 10.0  # a server that is being restarted


class RpcError(Exception):
    """The call failed; the text is the server's, or says what came in place of an answer; `code` is gRPC's, if there is one."""

    def __init__(self, text: str, code: str = "") -> None:
        super().__init__(text)
        self.code = code


def call(path: str, method: str, message: bytes, metadata: Mapping[str, str], timeout_s: float) -> None:
    """Call `/package.Service/Method` with an encoded message; what is answered beside success is not read.

    Raises RpcError where the server refuses or says something else, OSError (TimeoutError) where it is away or late.
    """
    deadline = time.monotonic() + timeout_s
    http = H2Connection(H2Configuration(header_encoding="utf-8"))
    try:
        with _connected(path, min(deadline, time.monotonic() + BACK_WITHIN_S)) as stream:
            stream.settimeout(timeout_s)
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
            _check(_answer(http, stream, deadline))
    except (ProtocolError, UnicodeDecodeError) as error:  # a message of more than one frame, 16 kB, too
        raise RpcError(f"no gRPC: {error}") from None


def _connected(path: str, until: float) -> socket.socket:
    """Nothing was sent to a server that is not there yet, so that it may be asked again."""
    while True:
        stream = socket.socket(socket.AF_UNIX)
        try:
            stream.settimeout(max(until - time.monotonic(), 0.1))
            stream.connect(path)
            return stream
        except (FileNotFoundError, ConnectionRefusedError):
            stream.close()
            if time.monotonic() > until:
                raise
            time.sleep(0.1)
        except BaseException:
            stream.close()
            raise


def _answer(http: H2Connection, stream: socket.socket, deadline: float) -> Mapping[str, str]:
    """The headers and trailers. What stands between them is not acknowledged, so that its window bounds it."""
    said = dict[str, str]()
    while data := _received(stream, deadline):
        for event in http.receive_data(data):
            match event:
                case ResponseReceived() | TrailersReceived():
                    said |= {str(name): str(value) for name, value in event.headers}
                case StreamEnded():
                    return said
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


def _check(said: Mapping[str, str]) -> None:
    code = said.get("grpc-status", "")
    if code != "0":
        words = unquote(said.get("grpc-message", ""))
        raise RpcError(words or f"gRPC status {code or 'none'}, HTTP {said.get(':status')}", code)
