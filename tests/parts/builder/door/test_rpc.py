"""Calls of containerd's API: what is sent is what gRPC's own server reads, and each way an answer can be wrong is told."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from binderbox.parts.builder.door.api import AlreadyThere, Api, NotThere, entry, part, text
from binderbox.parts.builder.door.containerd import ContainerdError

from .conftest import make_config
from .containerd_double import Containerd, fields, labels

LONG = "ä" * 20_000  # its length has three bytes of seven bits


@pytest.fixture
def containerd(state: Path) -> Iterator[Containerd]:
    double = Containerd(str(state / "c.sock"))
    yield double
    double.stop()


def api(state: Path, **changes: str) -> Api:
    return Api(replace(make_config(state), containerd_socket=str(state / "c.sock"), **changes))


def test_fields_are_read_as_they_were_written() -> None:
    message = text(1, "") + part(3, b"\0\xff") + text(900, LONG) + entry(4, "a.b/c", LONG)
    assert fields(message)[:3] == [(1, b""), (3, b"\0\xff"), (900, LONG.encode())]
    assert labels(fields(message), 4) == {"a.b/c": LONG}


def test_what_is_refused_has_the_words_of_containerd(state: Path, containerd: Containerd) -> None:
    with pytest.raises(NotThere, match=r"^containerd, stat: snapshot größe does not exist: not found$"):
        api(state).stat("größe")
    with pytest.raises(ContainerdError, match="namespace is required"):
        api(state, containerd_namespace="default").stat("x")
    containerd.snapshots["x"] = {}
    with pytest.raises(AlreadyThere, match=r"already exists$"):
        api(state).prepare("x", "x")
    assert containerd.asked == ["snapshots stat", "snapshots prepare"]


def test_a_label_is_set_and_taken_away_and_others_stay(state: Path, containerd: Containerd) -> None:
    containerd.content = {"sha256:1": {"other": "1"}}
    api(state).label_content("sha256:1", "mine", LONG[:3000])
    assert containerd.content["sha256:1"] == {"other": "1", "mine": LONG[:3000]}
    api(state).label_content("sha256:1", "mine", "")
    assert containerd.content["sha256:1"] == {"other": "1"}


def test_what_is_no_small_message_is_not_sent(state: Path, containerd: Containerd) -> None:
    with pytest.raises(ContainerdError, match="max frame size"):
        api(state).label_content("sha256:1", "mine", LONG)
    assert containerd.asked == []


@contextmanager
def listening(path: str, does: Callable[[socket.socket], None]) -> Iterator[None]:
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(path)
        server.listen()

        def serve() -> None:
            connection, _ = server.accept()
            with connection:
                does(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield
        thread.join()


def hangs(connection: socket.socket) -> None:
    while connection.recv(1 << 16):
        pass


def says_http1(connection: socket.socket) -> None:
    connection.recv(1 << 16)
    connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")


def leaves(connection: socket.socket) -> None:
    connection.recv(1 << 16)


@pytest.mark.parametrize(
    ("does", "why"),
    [
        (hangs, "timed out"),
        (says_http1, "no gRPC|closed|Broken pipe|reset"),
        (leaves, "closed before an answer"),
    ],
)
def test_a_server_that_is_none_ends_the_call(
    state: Path, does: Callable[[socket.socket], None], why: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("binderbox.parts.builder.door.api.COMMAND_S", 0.5 if does is hangs else 60)
    with (
        listening(str(state / "c.sock"), does),
        pytest.raises(ContainerdError, match=rf"^containerd, stat: .*({why})"),
    ):
        api(state).stat("x")


def test_one_that_is_being_restarted_is_waited_for(state: Path) -> None:
    began: list[Containerd] = []
    later = threading.Timer(0.3, lambda: began.append(Containerd(str(state / "c.sock"))))
    later.start()
    try:
        with pytest.raises(NotThere):
            api(state).stat("x")
    finally:
        later.join()
        began[0].stop()
