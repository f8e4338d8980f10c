"""A site's proxy that lets no tunnel live for long."""

from __future__ import annotations

import select
import socket
import socketserver
import threading
import time
from types import TracebackType
from typing import Self

PIECE = 64 << 10


class CuttingProxy:
    """Made with `with`: each CONNECT leads to `target` and is cut after `life_s`, or after `life_bytes` from there."""

    def __init__(self, target: tuple[str, int], *, life_s: float = 60, life_bytes: int = 1 << 40) -> None:
        self.target, self.life_s, self.life_bytes = target, life_s, life_bytes
        self.tunnels = 0

    def __enter__(self) -> Self:
        self._server = type("Server", (socketserver.ThreadingTCPServer,), {"daemon_threads": True})(
            ("127.0.0.1", 0), _Tunnel
        )
        self._server.proxy = self
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


class _Tunnel(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        proxy: CuttingProxy = self.server.proxy  # type: ignore[attr-defined]
        proxy.tunnels += 1
        while self.rfile.readline().strip():  # the question and its headers
            pass
        self.wfile.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        ends, left = time.monotonic() + proxy.life_s, proxy.life_bytes
        with socket.create_connection(proxy.target, 5) as there:
            while left > 0 and time.monotonic() < ends:
                for one in select.select([self.connection, there], [], [], 0.1)[0]:
                    piece = one.recv(min(PIECE, left))
                    if not piece:
                        return
                    if one is there:
                        left -= len(piece)
                        self.connection.sendall(piece)
                    else:
                        there.sendall(piece)
