"""The door of every host of the Internet: TLS at port 443 of one address, and who is meant is told by the Host header.

Port 80 is there to catch who asks in plain: nothing is served, all is recorded.
"""

from __future__ import annotations

import select
import ssl
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import unquote

from tests.federation.serving import Handler, Served
from tests.rig.internet.faults import WELL, Fault, Faults, instead, spoiled, understood
from tests.rig.internet.pace import Pace
from tests.rig.internet.replies import BLOCK, Asked, Reply, Role, text

MOST_ASKED = 1 << 20  # bytes of a body


@dataclass
class Request:
    """One request as it was seen; `status` is 0 and `sent` grows while it is under way."""

    scheme: str
    host: str
    method: str
    path: str
    query: str
    range: str | None
    authorized: bool
    status: int = 0
    sent: int = 0
    at_s: float = field(default_factory=time.monotonic)
    peer: str = ""  # who asked


class Front:
    """From `start` to `close`, at ports 443 and 80 of one address."""

    def __init__(self, address: str, roles: Mapping[str, Role], tls: ssl.SSLContext) -> None:
        self.roles = dict(roles)
        self.faults = Faults()
        self.requests: list[Request] = []
        self.pace: Pace | None = None
        self.closing = threading.Event()
        self._doors = [_Door(self, address, 443, tls), _Door(self, address, 80, None)]

    def start(self) -> None:
        for door in self._doors:
            door.start()

    def close(self) -> None:
        self.closing.set()
        for door in self._doors:
            door.close()

    def reply(self, asked: Asked, fault: Fault) -> Reply:
        given = instead(fault, asked)
        if given is not None:
            return given
        role = self.roles.get(asked.host)
        if role is None:
            return text(421, f"nobody here is called {asked.host}\n")
        try:
            return spoiled(fault, role(understood(fault, asked)))
        except Exception as error:  # the test should see it, not a connection that ends
            return text(502, f"the rig's own: {type(error).__name__} {error}\n")


class _Door(Served):
    def __init__(self, front: Front, address: str, port: int, tls: ssl.SSLContext | None) -> None:
        self.handler = _Talk
        super().__init__(bind=address, port=port, tls=tls)
        self.front = front


class _Talk(Handler):
    def answer(self) -> None:
        door: _Door = cast(Any, self.server).owner
        front, asked = door.front, self._asked()
        request = Request(
            door.scheme,
            asked.host,
            asked.method,
            asked.path,
            asked.query,
            asked.headers.get("Range"),
            "Authorization" in asked.headers,
            peer=self.client_address[0],
        )
        front.requests.append(request)
        if door.scheme == "http":
            self._send(request, text(403, "nothing is served in plain\n"), WELL, front)
            return
        fault = front.faults.take(asked)
        if fault.silent:
            self.close_connection = True
            self._stall(front)
            return
        self._send(request, front.reply(asked, fault), fault, front)

    def _asked(self) -> Asked:
        path, _, query = self.path.partition("?")
        host = self.headers.get("Host", "").partition(":")[0].lower()
        body = self.rfile.read(min(int(self.headers.get("Content-Length", 0)), MOST_ASKED))
        return Asked(host, self.command, unquote(path), query, self.path, self.headers, body)

    def _send(self, request: Request, reply: Reply, fault: Fault, front: Front) -> None:
        self.send_response(reply.status)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(reply.body.length))
        self.end_headers()
        request.status = reply.status
        if self.command == "HEAD":
            return
        own = Pace(fault.rate_bytes_s) if fault.rate_bytes_s else None
        ends = [fraction for fraction in (fault.cut, fault.stall) if fraction is not None]
        allowed = int(reply.body.length * min(ends)) if ends else reply.body.length
        for block in _within(reply, allowed, front, own):
            for pace in (own, front.pace):
                if pace:
                    pace.wait(len(block))
            self.wfile.write(block)
            request.sent += len(block)
        if not ends:
            return
        # without TLS's farewell, as when a machine on the way gives up
        self.close_connection = True
        if fault.stall == min(ends):
            self._stall(front)

    def _stall(self, front: Front) -> None:
        """Until the client goes, or the Internet does."""
        while not front.closing.is_set():
            if select.select([self.connection], [], [], 0.1)[0] and not self.connection.recv(BLOCK):
                return


def _within(reply: Reply, allowed: int, front: Front, own: Pace | None) -> Iterator[bytes | memoryview]:
    """The first bytes of the body, in blocks as small as the slower line asks for."""
    most = min(BLOCK, *(pace.block for pace in (own, front.pace) if pace), allowed or 1)
    for block in reply.body.blocks(most):
        yield block[:allowed]
        allowed -= len(block)
        if allowed <= 0:
            return
