"""Public addresses that answer badly, from real servers on this machine: each is named, and none holds the others up."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from binderbox.commands.federation.ask import observe
from binderbox.federation.members.observed import Ask, Reply
from binderbox.parts.secrets.ca import KeyPair, make_ca, make_leaf
from binderbox.world.http.endpoints import PUBLIC, Way, ask_all

Answering = Callable[[BaseHTTPRequestHandler], None]
GOOD = b'{"ok": true}'
ENDLESS_S = 60  # and then another answer, so that a test of patience fails instead of hanging


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, answer: Answering, tls: ssl.SSLContext | None = None) -> None:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            def log_message(self, *args: object) -> None:
                pass

        super().__init__(("127.0.0.1", 0), Handler)
        if tls is not None:
            self.socket = tls.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        self.port = self.server_address[1]

    def handle_error(self, *args: object) -> None:
        """Clients hang up here on purpose."""


@pytest.fixture
def serve() -> Iterator[Callable[..., Server]]:
    with ExitStack() as stack:

        def start(answer: Answering, tls: ssl.SSLContext | None = None) -> Server:
            server = Server(answer, tls)
            stack.callback(server.server_close)
            threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
            stack.callback(server.shutdown)
            return server

        yield start


def sending(body: bytes, status: int = 200, **headers: str) -> Answering:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(status)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.end_headers()
        request.wfile.write(body)

    return answer


def endless(piece: bytes, pause_s: float = 0, sent: list[bytes] | None = None) -> Answering:
    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(200)
        request.end_headers()
        until = time.monotonic() + ENDLESS_S
        while time.monotonic() < until:
            request.wfile.write(piece)
            if sent is not None:
                sent.append(piece)
            time.sleep(pause_s)

    return answer


def ask(url: str, *, timeout_s: float = 10.0, way: Way = PUBLIC) -> Reply:
    (reply,) = ask_all([Ask(url, timeout_s)], way)
    return reply


@pytest.mark.parametrize(
    ("answering", "says"),
    [
        (sending(b"<!DOCTYPE html><title>x</title>", Content_Type="text/html"), "it answers HTML, where JSON is needed"),
        (sending(b"  <html>"), "it answers HTML, where JSON is needed"),
        (sending(b"{"), "no JSON: "),
        (sending(b""), "no JSON: "),
        (endless(b"x" * 100_000), "it sends more than 10 MB"),
        (sending(b"[" + b"1," * 5_000_000 + b"1]"), "it sends more than 10 MB"),
        (sending(b"", 302, Location="https://elsewhere.example/health"), "it redirects to another host: https://elsewhere.example/health"),
        (sending(b"", 302, Location="/health"), "it redirects in circles"),
        (sending(b"", 302), "a redirect without a place"),
        (sending(b"", 302, Location="http://x.example/\x1b[31mred"), "Invalid URL in location header"),
    ],
)  # fmt: skip
def test_what_is_of_no_use_is_named(serve: Callable[..., Server], answering: Answering, says: str) -> None:
    reply = ask(f"http://127.0.0.1:{serve(answering).port}/health")
    assert reply.fault.startswith(says)
    assert "\x1b" not in reply.fault
    assert reply.body is None
    assert not reply.answer.usable


def test_a_failed_check_still_brings_its_json(serve: Callable[..., Server]) -> None:
    reply = ask(f"http://127.0.0.1:{serve(sending(GOOD, 503)).port}/health")
    assert (reply.status, reply.body, reply.fault) == (503, {"ok": True}, "HTTP 503")


@pytest.mark.parametrize("pause_s", [0.05, 30], ids=["drips", "is silent"])
def test_time_is_bounded_as_a_whole(serve: Callable[..., Server], pause_s: float) -> None:
    """A byte now and then resets every timeout of a library."""
    sent: list[bytes] = []
    reply = ask(f"http://127.0.0.1:{serve(endless(b' ', pause_s, sent)).port}/", timeout_s=0.6)
    assert len(sent) * pause_s <= max(
        1.6, pause_s
    )  # the server's time, which a busy machine stretches with ours
    assert reply.fault == "no answer within 0.6 s"


def test_headers_that_drip_do_not_hold_anybody(serve: Callable[..., Server]) -> None:
    sent: list[int] = []

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.wfile.write(b"HTTP/1.1 200 OK\r\nX: ")
        for number in range(ENDLESS_S * 10):
            request.wfile.write(b"1")
            sent.append(number)
            time.sleep(0.1)

    good, slow = serve(sending(GOOD)), serve(answer)
    asks = [Ask(f"http://127.0.0.1:{one.port}/", 0.5) for one in (slow, good)]
    replies = ask_all(asks)
    assert len(sent) * 0.1 <= 2
    assert [one.fault for one in replies] == ["no answer within 0.5 s", ""]


def test_nobody_there_is_an_answer() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        reply = ask(f"http://127.0.0.1:{taken.getsockname()[1]}/health")
    assert reply.status == 0
    assert "refused" in reply.fault
    assert "not known" in ask("http://no-such-name.invalid/").fault


@pytest.fixture(scope="module")
def authority() -> KeyPair:
    return make_ca("members of tests")


def tls_of(pair: KeyPair, directory: Path) -> ssl.SSLContext:
    (directory / "cert.pem").write_text(pair.certificate_pem)
    (directory / "key.pem").write_text(pair.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "cert.pem", directory / "key.pem")
    return context


def test_certificates_are_verified_for_the_name_and_their_days_counted(
    serve: Callable[..., Server], authority: KeyPair, tmp_path: Path
) -> None:
    leaf = make_leaf(authority, ["member.example"])
    server = serve(sending(GOOD), tls_of(leaf, tmp_path))
    way = Way({"member.example": "127.0.0.1", "other.example": "127.0.0.1"}, authority.certificate_pem)
    good = ask(f"https://member.example:{server.port}/", way=way)
    assert (good.fault, good.body) == ("", {"ok": True})
    assert good.days_left == pytest.approx(397, abs=1.1)
    other = ask(f"https://other.example:{server.port}/", way=way)
    assert other.fault.startswith("its certificate is not accepted: Hostname mismatch")
    unknown = ask(f"https://member.example:{server.port}/", way=Way(way.addresses))
    assert unknown.fault.startswith("its certificate is not accepted: unable to get local issuer")
    assert unknown.days_left is None


def test_a_certificate_that_has_ended_is_named(
    serve: Callable[..., Server], authority: KeyPair, tmp_path: Path
) -> None:
    old = datetime.now(UTC) - timedelta(days=500)
    ca = make_ca("old", old)
    server = serve(sending(GOOD), tls_of(make_leaf(ca, ["member.example"], old), tmp_path))
    reply = ask(
        f"https://member.example:{server.port}/", way=Way({"member.example": "127.0.0.1"}, ca.certificate_pem)
    )
    assert reply.fault == "its certificate is not accepted: certificate has expired"


def test_https_never_becomes_http(serve: Callable[..., Server], authority: KeyPair, tmp_path: Path) -> None:
    plain = serve(sending(GOOD))
    leaf = make_leaf(authority, ["member.example"])
    there = f"http://member.example:{plain.port}/"
    server = serve(sending(b"", 301, Location=there), tls_of(leaf, tmp_path))
    way = Way({"member.example": "127.0.0.1"}, authority.certificate_pem)
    assert (
        ask(f"https://member.example:{server.port}/", way=way).fault == f"it redirects from https to {there}"
    )


def test_a_redirect_on_the_same_host_is_followed(serve: Callable[..., Server]) -> None:
    def answer(request: BaseHTTPRequestHandler) -> None:
        moved = request.path == "/health"
        sending(b"" if moved else GOOD, 301 if moved else 200, Location="/health/")(request)

    assert ask(f"http://127.0.0.1:{serve(answer).port}/health").body == {"ok": True}


def test_twelve_members_are_asked_everything_at_once(serve: Callable[..., Server]) -> None:
    """None of their 24 answers is given before all 24 questions are there."""
    from binderbox.federation.redirector.config import make_config

    all_asked = threading.Barrier(24)

    def answer(request: BaseHTTPRequestHandler) -> None:
        all_asked.wait(30)
        sending(GOOD)(request)

    url = f"http://127.0.0.1:{serve(answer).port}"
    entry = {
        "prime": False,
        "weight": 1,
        "url": url,
        "health": f"{url}/health",
        "versions": f"{url}/versions",
    }
    config = make_config({"hosts": {f"m{number}": entry for number in range(12)}})
    seen = observe(config.hosts, 30)
    assert [(one.versions.body, one.health.body) for one in seen.values()] == 12 * [
        ({"ok": True}, {"ok": True})
    ]
