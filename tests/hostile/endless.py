"""A server on the Internet that never stops answering, or leads elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress
from http.server import BaseHTTPRequestHandler

from tests.federation.serving import Served

PIECE = bytes(1 << 20)
MOST = 200 << 10  # pieces: it ends by itself, however long after any disk


class Endless(Served):
    """/endless promises a length, /lengthless none, /slow sends a byte a second, /to-the-metadata redirects there."""

    def __init__(self, bind: str) -> None:
        self.handler = _Endless
        super().__init__(bind=bind)


class _Endless(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/to-the-metadata":
            self.send_response(302)
            self.send_header("Location", "http://169.254.169.254/latest/meta-data")
            self.end_headers()
            return
        self.send_response(200)
        if self.path == "/endless":
            self.send_header("Content-Length", str(MOST * len(PIECE)))
        self.end_headers()
        with suppress(OSError):  # who asked has had enough
            for _ in range(60 if self.path == "/slow" else MOST):
                self.wfile.write(b"x" if self.path == "/slow" else PIECE)
                if self.path == "/slow":
                    time.sleep(1)

    def do_HEAD(self) -> None:
        self.send_error(405)

    def log_message(self, *_: object) -> None:
        pass
