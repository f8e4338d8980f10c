"""Event streams as BinderHub sends them, from a server on this machine."""

from __future__ import annotations

import contextlib
import json
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websockets

from binderbox import ca
from binderbox.world.web import NoAnswer, Web

BOUND_S = 20


class Member(ThreadingHTTPServer):
    """Answers each path with what `pages` holds; a stream stays open, with keepalives, until its client has left."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.pages: dict[str, str] = {}
        self.left = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Member

    def do_GET(self) -> None:
        self.send_response(200)
        streamed = self.path.startswith("/build/")
        self.send_header("Content-Type", "text/event-stream" if streamed else "text/html")
        self.end_headers()
        self.wfile.write(self.server.pages[self.path].encode())
        deadline = time.monotonic() + BOUND_S
        try:
            while streamed and time.monotonic() < deadline:
                self.wfile.write(b":keepalive\n\n")
                time.sleep(0.2)
        except OSError:
            self.server.left.set()

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def member() -> Iterator[Member]:
    server = Member()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def web() -> Iterator[Web]:
    made = Web("127.0.0.1")
    yield made
    made.close()


def first(events: Iterator[object], wanted: Callable[[object], bool]) -> object:
    return next(event for event in events if wanted(event))


def test_a_stream_that_only_keeps_alive_lets_its_client_look_at_the_clock_and_leave(
    member: Member, web: Web
) -> None:
    """A repository without an environment gets a bare `failed`; BinderHub then keeps the stream open for ever."""
    member.pages["/build/x"] = 'data: {"phase": "failed"}\n\n'
    started = time.monotonic()
    events = web.events(f"{member.url}/build/x", silence_s=BOUND_S)
    assert next(events) == {"phase": "failed"}
    assert first(events, lambda event: not event) == {}
    events.close()  # type: ignore[attr-defined]
    assert member.left.wait(5), "the server still has its client"
    assert time.monotonic() - started < BOUND_S / 2


def test_a_stream_that_is_silent_ends_with_an_error(member: Member, web: Web) -> None:
    member.pages["/build/x"] = ""
    with pytest.raises(NoAnswer, match="timed out"):
        list(web.events(f"{member.url}/build/x", silence_s=0.1))


def test_no_token_is_told_in_an_error(web: Web) -> None:
    with pytest.raises(NoAnswer, match="refused") as told:
        web.request("GET", "http://127.0.0.1:9/user/x/api?token=secret")
    assert "secret" not in str(told.value)


def test_a_server_that_is_not_there_gives_no_answer(web: Web) -> None:
    with pytest.raises(NoAnswer, match="refused"):
        list(web.events("http://127.0.0.1:9/build/x", silence_s=1))


def test_the_page_of_a_repository_holds_a_build_token(member: Member, web: Web) -> None:
    member.pages["/v2/gh/a/b/main"] = (
        '<script>window.pageConfig = {"baseUrl": "/", "buildToken": "ey.J-_.x"};'
    )
    assert web.build_token(f"{member.url}/v2/gh/a/b/main") == "ey.J-_.x"


def test_a_page_without_a_token_is_no_launch_page(member: Member, web: Web) -> None:
    member.pages["/v2/gh/a/b/main"] = "<p>an error page"
    with pytest.raises(NoAnswer, match="no build token"):
        web.build_token(f"{member.url}/v2/gh/a/b/main")


def test_a_kernel_that_never_answers_its_websocket_is_given_up_in_time(tmp_path: Path) -> None:
    """Over TLS, where its library would wait without a limit."""
    authority = ca.make_ca("localhost")
    leaf = ca.make_leaf(authority, ["localhost"])
    (tmp_path / "both.pem").write_text(leaf.certificate_pem + leaf.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def accepted() -> ssl.SSLSocket:
            while True:  # a test beside this one may still ask for somebody who had this port before
                with contextlib.suppress(OSError):
                    return tls.wrap_socket(listener.accept()[0], server_side=True)

        def serve() -> None:
            with accepted() as first:
                first.recv(65536)
                first.sendall(
                    b'HTTP/1.1 201 Created\r\nContent-Length: 11\r\nConnection: close\r\n\r\n{"id": "k"}'
                )
            with accepted() as second:
                while second.recv(65536):
                    pass

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        web = Web("localhost", "127.0.0.1", authority.certificate_pem)
        started = time.monotonic()
        with pytest.raises(NoAnswer, match="kernel at"):
            web.evaluate(f"https://localhost:{listener.getsockname()[1]}/user/x/", "t", "1", timeout_s=1)
        assert time.monotonic() - started < BOUND_S
        thread.join(5)


def test_a_handshake_without_an_answer_is_tried_again(web: Web, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderbox.world.web.HANDSHAKE_S", 0.5)
    asked = []

    def first_in_vain(connection: ServerConnection, request: object) -> None:
        asked.append(request)
        if len(asked) == 1:
            time.sleep(1.5)

    def kernel(channel: ServerConnection) -> None:
        parent = {"parent_header": {"msg_id": json.loads(channel.recv())["header"]["msg_id"]}}
        for kind, content in (
            ("stream", {"name": "stdout", "text": "42"}),
            ("status", {"execution_state": "idle"}),
        ):
            channel.send(json.dumps({**parent, "msg_type": kind, "content": content}))

    with serve_websockets(kernel, "127.0.0.1", 0, process_request=first_in_vain) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        place = f"ws://127.0.0.1:{server.socket.getsockname()[1]}/user/x/api/kernels/k/channels"
        assert web.run_in_kernel(place, "print(42)", 10) == "42"
    assert len(asked) == 2
