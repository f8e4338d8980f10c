"""The rig's time server says the time in the form that timesyncd takes."""

from __future__ import annotations

import socket
import struct
import time

import pytest

from tests.rig import ntp


def test_it_answers_what_it_was_asked_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        monkeypatch.setattr(ntp, "ADDRESS", probe.getsockname())
    ntp.serve.__wrapped__()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.sendto(bytes([0x23]) + bytes(39) + b"question", ntp.ADDRESS)
        answer, _ = client.recvfrom(100)
    mode, stratum = struct.unpack(">BB", answer[:2])
    seconds, part = struct.unpack(">II", answer[40:48])
    assert (mode, stratum, answer[24:32]) == (0x24, 2, b"question")
    assert abs(seconds - ntp.SINCE_1900_S + part / (1 << 32) - time.time()) < 2
