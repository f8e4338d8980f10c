"""Event streams as BinderHub sends them, from a server on this machine."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from binderbox.commands.prove import page_token
from binderbox.errors import NoAnswer
from binderbox.world.http.web import Web

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
    assert page_token(web, f"{member.url}/v2/gh/a/b/main") == "ey.J-_.x"


def test_a_page_without_a_token_is_no_launch_page(member: Member, web: Web) -> None:
    member.pages["/v2/gh/a/b/main"] = "<p>an error page"
    with pytest.raises(NoAnswer, match="no build token"):
        page_token(web, f"{member.url}/v2/gh/a/b/main")
