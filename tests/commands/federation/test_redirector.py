"""Asking a real HTTP server on loopback who is in rotation."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binderbox.commands.federation.redirector import LARGEST_BYTES, active_hosts
from binderbox.errors import EndpointFailed

ANSWERS = {
    "/good/active_hosts": (200, b'{"active_hosts": {}}'),
    "/html/active_hosts": (200, b"<!doctype html>"),
    "/sick/active_hosts": (502, b'{"active_hosts": {}}'),
    "/moved/active_hosts": (302, b""),
    "/large/active_hosts": (200, b" " * (LARGEST_BYTES + 1)),
}


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status, body = ANSWERS[self.path]
        self.send_response(status)
        self.send_header("Location", "/good/active_hosts")
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def base() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def test_the_answer_is_given_as_it_is(base: str) -> None:
    assert active_hosts(f"{base}/good/") == {"active_hosts": {}}


@pytest.mark.parametrize(
    ("path", "cause"), [("html", "JSON"), ("sick", "502"), ("moved", "302"), ("large", "more than")]
)
def test_what_is_no_answer_says_why(base: str, path: str, cause: str) -> None:
    with pytest.raises(EndpointFailed) as failure:
        active_hosts(f"{base}/{path}")
    assert cause in failure.value.cause


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:1", "nonsense", "ftp://x", "http://[", "https://no.invalid"]
)
def test_an_address_where_nobody_is(url: str) -> None:
    with pytest.raises(EndpointFailed, match="no usable answer"):
        active_hosts(url)
