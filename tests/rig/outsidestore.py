"""An object store outside the host: the rig's MinIO behind TLS, and a front that is slow, busy, gone or wrong about the time."""

from __future__ import annotations

import http.client
import socket
import ssl
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate
from pathlib import Path

import trustme

from binderbox.world.s3 import store
from binderbox.world.s3.store import Key, Store
from tests.federation.serving import Handler, Served
from tests.rig.internet.pace import Pace
from tests.world.s3.storeserver import running_store

ROOT = Key("rootrootroot", "0123456789abcdef0123456789abcdef01234567")
KEY = Key("a1b2c3d4e5f6a7b8c9d0", "fedcba9876543210fedcba9876543210fedcba98")
BUCKET = "binderbox"
BLOCK = 1 << 18
HOP_BY_HOP = {"connection", "transfer-encoding", "keep-alive", "content-length"}


class Front(Served):
    """+ pace: bytes a second, for all together; busy: every so manieth question is put off; ahead_s: of its own clock
    + redirected: to another region; gone: it hangs up; cuts: every long upload; refused: what of it cannot be read
    """

    def __init__(self, address: str, inner: str, tls: ssl.SSLContext | None) -> None:
        self.handler = _Passing
        self.inner = inner
        self.asked = 0
        self.well()
        super().__init__(bind=address, tls=tls)

    def well(self) -> None:
        self.pace: Pace | None = None
        self.busy = self.ahead_s = 0
        self.redirected = self.gone = self.cuts = False
        self.refused = ""


class _Passing(Handler):
    def _any_method(self) -> None:  # bodies are read here
        self.answer()

    def answer(self) -> None:
        front = self.server.owner  # type: ignore[attr-defined]
        front.asked += 1
        size = int(self.headers.get("Content-Length") or 0)
        if front.gone:
            self.close_connection = True
            return
        if front.refused and self.command == "GET" and front.refused in self.path:
            self.close_connection = True
            self.send(503, b"<Error><Code>SlowDown</Code></Error>")
            return
        if front.cuts and size > BLOCK:
            self.cut()
            return
        if front.busy and front.asked % front.busy == 0:
            self.close_connection = True
            if size > BLOCK:
                self.cut()
                return
            self.send(503, b"<Error><Code>SlowDown</Code></Error>")
            return
        if front.redirected:
            self.close_connection = True
            self.send(
                301, b"<Error><Code>PermanentRedirect</Code></Error>", {"x-amz-bucket-region": "eu-west-9"}
            )
            return
        body = b"".join(self._pieces(front, size))
        inner = http.client.HTTPConnection(front.inner, timeout=120)
        headers = {
            name: value
            for name, value in self.headers.items()
            if name.lower() not in ("connection", "expect")
        }
        inner.request(self.command, self.path, body or None, headers)
        answer = inner.getresponse()
        data = answer.read()
        self.send_response_only(answer.status)
        kept = [
            (name, value) for name, value in answer.getheaders() if name.lower() not in HOP_BY_HOP | {"date"}
        ]
        length = answer.headers.get("Content-Length") if self.command == "HEAD" else str(len(data))
        for name, value in (*kept, ("Date", formatdate(time.time() + front.ahead_s, usegmt=True))):
            self.send_header(name, value)
        if length is not None:
            self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            for start in range(0, len(data), BLOCK):
                piece = data[start : start + BLOCK]
                if front.pace:
                    front.pace.wait(len(piece))
                self.wfile.write(piece)
        inner.close()

    def cut(self) -> None:
        """A reset in the midst of an upload, which is all that the sender gets when a 503 comes before its end."""
        self.rfile.read(BLOCK)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.shutdown(socket.SHUT_RD)
        self.connection.close()

    def _pieces(self, front: Front, size: int) -> Iterator[bytes]:
        if self.headers.get("Transfer-Encoding") == "chunked":
            while length := int(self.rfile.readline().partition(b";")[0], 16):
                yield self.rfile.read(length)
                self.rfile.readline()
            self.rfile.readline()
            return
        while size:
            piece = self.rfile.read(min(size, BLOCK))
            if not piece:
                return
            size -= len(piece)
            if front.pace:
                front.pace.wait(len(piece))
            yield piece


@dataclass
class OutsideStore:
    """+ inner: the server itself, as its administrator has it; ca_pem: who vouches for the front"""

    inner: Store
    front: Front
    ca_pem: str

    @property
    def endpoint(self) -> str:
        return self.front.url


@contextmanager
def outside_store(address: str, where: Path) -> Iterator[OutsideStore]:
    """A server at an address of this machine, with a bucket and a key that is good for it alone."""
    authority = trustme.CA(organization_name="the site of the object store")
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(address).configure_cert(tls)
    with running_store(where, ROOT) as inner:
        store.ensure_bucket(inner, BUCKET)
        store.ensure_key(inner, KEY, BUCKET)
        front = Front(address, inner.address, tls)
        front.start()
        try:
            yield OutsideStore(inner, front, authority.cert_pem.bytes().decode())
        finally:
            front.close()
