"""A deploy that takes long is explained while it runs, by asking beside it."""

from __future__ import annotations

import threading
from typing import Any

from binderbox.commands.watching import builds_under_way, files_left, watched
from binderbox.errors import ConnectionLost
from binderbox.world.ssh.shell import Output


class Told:
    def __init__(self) -> None:
        self.said: list[tuple[str, str]] = []
        self.enough = threading.Event()

    def waiting(self, obj: str, reason: str, elapsed_s: float, last_event: str = "") -> None:
        self.said.append((obj, reason))
        self.enough.set()

    def __getattr__(self, name: str) -> Any:
        return lambda *args: None


class Machine:
    def __init__(self, status: bytes | None = None, du: bytes = b"") -> None:
        self.status, self.du = status, du

    def read(self, path: str) -> bytes | None:
        return self.status

    def run(self, argv: list[str], **_: Any) -> Output:
        return Output(0, self.du, b"")


def test_what_is_asked_beside_a_deploy_is_told_until_it_ends() -> None:
    told, answers = Told(), iter(["3.0 GB left", "2.0 GB left"])

    def watch(host: Any) -> str:
        try:
            return next(answers)
        except StopIteration:
            raise ConnectionLost("gone") from None  # not told, and no end of the watch

    with watched("Remove files", watch, Machine(), told, every_s=0.01):  # type: ignore[arg-type]
        assert told.enough.wait(10)
    assert told.said[0] == ("Remove files", "3.0 GB left")
    before = list(told.said)
    assert not [thread for thread in threading.enumerate() if thread.name == "watching"]
    assert told.said == before


def test_a_phase_without_a_watch_asks_nothing() -> None:
    with watched("x", None, Machine(), Told()):  # type: ignore[arg-type]
        assert not [thread for thread in threading.enumerate() if thread.name == "watching"]


def test_builds_are_told_by_their_repositories() -> None:
    status = (
        b'{"builds": [{"repository": "https://b"}, {"repository": "https://a"}, {"repository": "https://a"}]}'
    )
    assert builds_under_way(Machine(status)) == "builds of https://a, https://b to end"  # type: ignore[arg-type]
    assert builds_under_way(Machine(b'{"builds": []}')) == ""  # type: ignore[arg-type]
    assert builds_under_way(Machine(None)) == ""  # type: ignore[arg-type]


def test_files_are_told_in_gb() -> None:
    assert files_left(Machine(du=b"3000\t/a\n2400\t/b\n5400\ttotal\n")) == "5.4 GB left"  # type: ignore[arg-type]
    assert files_left(Machine(du=b"")) == ""  # type: ignore[arg-type]
