"""The listener on port 80, on this machine: its token comes back, and it goes away by itself."""

from __future__ import annotations

import socket
import time
import urllib.error
import urllib.request

import pytest

from binderbox.checks.probe import Answer
from binderbox.world.host.hosts import Host
from binderbox.world.host.port_80 import asked
from tests.waiting import wait_until

PATH, TOKEN = "/.well-known/acme-challenge/asked", "the-token"
URL = "http://127.0.0.1"


def get(path: str) -> Answer:
    try:
        with urllib.request.urlopen(f"{URL}{path}", timeout=3) as answer:
            return Answer(path, answer.status, body=answer.read().decode())
    except urllib.error.HTTPError as error:
        return Answer(path, error.code, body=error.read().decode())
    except OSError as error:
        return Answer(path, 0, error=str(error))


def free() -> bool:
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("0.0.0.0", 80))
        except OSError:
            return False
        return True


@pytest.fixture(autouse=True)
def nobody_has_it() -> None:
    if not free():
        pytest.skip("port 80 of this machine is taken, or not ours to take")


def test_the_token_comes_back_and_the_port_is_free_again(host: Host) -> None:
    started = time.monotonic()
    answer = asked(host, PATH, TOKEN, lambda: get(PATH))
    assert (answer.status, answer.body) == (200, f"{TOKEN}\n")
    assert time.monotonic() - started < 5
    wait_until(free, 5, "the listener has ended")


def test_another_path_gets_nothing_and_the_end_does_not_wait_for_its_20_seconds(host: Host) -> None:
    started = time.monotonic()
    answer = asked(host, PATH, TOKEN, lambda: get("/"))
    assert (answer.status, TOKEN in answer.body) == (404, False)
    assert time.monotonic() - started < 10
    wait_until(free, 5, "the listener has ended")


def test_who_holds_the_port_is_told_at_once(host: Host) -> None:
    with socket.create_server(("0.0.0.0", 80)):
        started = time.monotonic()
        answer = asked(host, PATH, TOKEN, lambda: Answer(PATH, 0, error="no answer"))
        assert "cannot listen: Address already in use" in answer.error
        assert time.monotonic() - started < 5
