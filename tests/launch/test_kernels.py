"""Kernels of a small server on this machine: its API is written out here, its websockets are real ones."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from websockets.sync.server import ServerConnection
from websockets.sync.server import serve as serve_websockets

from binderbox.errors import NoAnswer
from binderbox.launch.kernels import evaluate
from binderbox.parts.secrets import ca
from binderbox.world.http.web import Web

BOUND_S = 20
CREATED = b"HTTP/1.1 201 Created\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%b"
GONE = b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n"


class Server:
    """Starts, ends and connects kernels as Jupyter Server does; `mute` of them, from the first on, never answer.

    + log: "POST", or the method and the kernel's number; handshakes begun are "GET".
    """

    def __init__(
        self, run: Callable[[ServerConnection], None], mute: int, tls: ssl.SSLContext | None = None
    ) -> None:
        self.log: list[str] = []
        self.mute = mute
        self.tls = tls
        self.sockets = serve_websockets(run, "127.0.0.1", 0)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http{'s' if tls else ''}://localhost:{self.listener.getsockname()[1]}/user/x/"
        for serve in (self.sockets.serve_forever, self._serve):
            threading.Thread(target=serve, daemon=True).start()

    def close(self) -> None:
        self.listener.close()
        self.sockets.shutdown()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self.listener.accept()[0],), daemon=True).start()

    def _answer(self, plain: socket.socket) -> None:
        # One who still asks for this port's last owner may come, and leave.
        with contextlib.suppress(ssl.SSLError, ConnectionError):
            self._speak(self.tls.wrap_socket(plain, server_side=True) if self.tls else plain)

    def _speak(self, client: socket.socket) -> None:
        with client:
            request = _request(client)
            method, path = request.decode().split(" ", 2)[:2]
            number = path.split("api/kernels")[1].split("?")[0].strip("/").split("/")[0]
            self.log.append(f"{method} {number}".strip())
            if method == "POST":
                kernel = json.dumps({"id": str(self.log.count("POST"))}).encode()
                client.sendall(CREATED % (len(kernel), kernel))
            elif method == "DELETE":
                client.sendall(GONE)
            elif int(number) <= self.mute:
                client.recv(65536)
            else:
                with socket.create_connection(self.sockets.socket.getsockname()) as upstream:
                    upstream.sendall(request)
                    back = threading.Thread(target=_copy, args=(upstream, client), daemon=True)
                    back.start()
                    _copy(client, upstream)
                    back.join(BOUND_S)


def _request(client: socket.socket) -> bytes:
    """All of a request; with a part of it unread, the end of a connection would be a reset, and no answer."""
    text, length = b"", None
    while length is None or len(text) < length:
        if not (data := client.recv(65536)):
            raise ConnectionResetError("only a part of a request came")
        text += data
        if length is None and b"\r\n\r\n" in text:
            told = re.search(rb"content-length: (\d+)", text.lower())
            length = text.index(b"\r\n\r\n") + 4 + (int(told[1]) if told else 0)
    return text


def _copy(source: socket.socket, sink: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            sink.sendall(data)
        sink.shutdown(socket.SHUT_WR)


def answers(*messages: tuple[str, dict[str, str]]) -> Callable[[ServerConnection], None]:
    """A kernel that answers what it is asked to run with these messages, after one that belongs to nobody here."""

    def run(channel: ServerConnection) -> None:
        asked = json.loads(channel.recv())
        assert asked["content"]["code"] == "6 * 7"
        channel.send(json.dumps({"msg_type": "status", "parent_header": {}, "content": {}}))
        for kind, content in messages:
            parent = {"msg_id": asked["header"]["msg_id"]}
            channel.send(json.dumps({"msg_type": kind, "parent_header": parent, "content": content}))

    return run


WELL = answers(
    ("stream", {"name": "stdout", "text": "4"}),
    ("stream", {"name": "stderr", "text": "not this"}),
    ("stream", {"name": "stdout", "text": "2"}),
    ("status", {"execution_state": "idle"}),
)


@contextlib.contextmanager
def served(
    run: Callable[[ServerConnection], None], mute: int = 0, tls: ssl.SSLContext | None = None, trust: str = ""
) -> Iterator[tuple[Server, Web]]:
    with (
        contextlib.closing(Server(run, mute, tls)) as server,
        contextlib.closing(Web("localhost", "127.0.0.1", trust)) as web,
    ):
        yield server, web


def test_what_the_code_printed_is_the_answer() -> None:
    with served(WELL) as (server, web):
        assert evaluate(web, server.url, "secret", "6 * 7") == "42"
    assert server.log == ["POST", "GET 1"]


def test_a_kernel_that_leaves_its_handshake_unanswered_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("binderbox.launch.kernels.HANDSHAKE_S", 1.0)
    with served(WELL, mute=2) as (server, web):
        assert evaluate(web, server.url, "secret", "6 * 7", timeout_s=BOUND_S) == "42"
    assert server.log == ["POST", "GET 1", "DELETE 1", "POST", "GET 2", "DELETE 2", "POST", "GET 3"]


def test_a_kernel_s_own_error_is_told_and_the_token_is_not() -> None:
    failing = answers(("error", {"ename": "ZeroDivisionError", "evalue": "division by zero"}))
    with (
        served(failing) as (server, web),
        pytest.raises(NoAnswer, match="ZeroDivisionError: division") as told,
    ):
        evaluate(web, server.url, "secret", "6 * 7")
    assert "secret" not in str(told.value)


def test_a_kernel_that_falls_silent_is_given_up_in_time() -> None:
    given_up, in_time = threading.Event(), []
    with served(lambda channel: in_time.append(given_up.wait(BOUND_S))) as (server, web):
        with pytest.raises(NoAnswer, match=r"kernel at .*/kernels/1: ") as told:
            evaluate(web, server.url, "secret", "6 * 7", timeout_s=3)
        given_up.set()
    assert server.log == ["POST", "GET 1"]
    assert "secret" not in str(told.value)
    assert in_time == [True]


def test_a_kernel_that_never_answers_its_websocket_is_given_up_in_time(tmp_path: Path) -> None:
    """Over TLS, where its library would wait without a limit."""
    authority = ca.make_ca("localhost")
    leaf = ca.make_leaf(authority, ["localhost"])
    (tmp_path / "both.pem").write_text(leaf.certificate_pem + leaf.key_pem)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(tmp_path / "both.pem")
    started = time.monotonic()
    mute = served(WELL, 99, tls, authority.certificate_pem)
    with mute as (server, web), pytest.raises(NoAnswer, match=r"kernel at .*/kernels/1: "):
        evaluate(web, server.url, "secret", "6 * 7", timeout_s=3)
    assert server.log == ["POST", "GET 1"]
    assert time.monotonic() - started < BOUND_S
