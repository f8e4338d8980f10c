"""What an answer of BuildKit says about names, and what the sample repository's probe says of one that nobody has."""

from __future__ import annotations

import socket

import pytest

from binderbox.launch.names import judge_fetch, zone_to_ask
from binderbox.launch.repository import probe

NAME = "0123abcd.mybinder.org"
ASKED = f'ERROR: failed to solve: {NAME}/nothing:1: failed to resolve source metadata for {NAME}/nothing:1: failed to do request: Head "https://{NAME}/v2/nothing/manifests/1": dial tcp: '


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (f"{ASKED}lookup {NAME} on 192.0.2.53:53: no such host", "pass"),
        (f"{ASKED}lookup {NAME}: no such host", "pass"),
        (f"{ASKED}45.9.9.7:443: connect: connection refused", "pass"),
        (f"{NAME}/nothing:1: not found", "pass"),
        (
            f"{ASKED}lookup {NAME} on 127.0.0.53:53: write udp 10.0.2.15:1->127.0.0.53:53: operation not permitted",
            "fail",
        ),
        (f"{ASKED}lookup {NAME} on 192.0.2.53:53: read udp 10.0.2.15:4->192.0.2.53:53: i/o timeout", "fail"),
        (f"{ASKED}lookup {NAME} on 192.0.2.53:53: server misbehaving", "fail"),
        ("error: failed to list workers: connection error: no such file or directory", "fail"),
        ("", "fail"),
    ],
)
def test_an_answer_is_one_whatever_it_is_and_silence_is_none(said: str, verdict: str) -> None:
    assert judge_fetch(NAME, said).verdict == verdict


def test_without_the_world_outside_only_the_members_own_zone_is_asked() -> None:
    assert zone_to_ask("binder.example.org", outside=True) == "mybinder.org"
    assert zone_to_ask("binder.example.org", outside=False) == "binder.example.org"


@pytest.mark.parametrize(
    ("error", "seen"),
    [
        (None, True),
        (socket.gaierror(socket.EAI_NONAME, "Name or service not known"), True),
        (socket.gaierror(socket.EAI_AGAIN, "Temporary failure in name resolution"), "Temporary failure"),
    ],
)
def test_a_name_that_there_is_not_was_asked_for_all_the_same(
    monkeypatch: pytest.MonkeyPatch, error: OSError | None, seen: bool | str
) -> None:
    def asked(name: str, _: None) -> list[None]:
        assert name == f"{NAME}."  # no search domain is tried
        if error:
            raise error
        return []

    monkeypatch.setattr(socket, "getaddrinfo", asked)
    found = probe.reach(f"unseen:{NAME}")
    assert found is True if seen is True else str(seen) in str(found)
