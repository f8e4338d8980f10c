from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from binderbox.parts.builder.engine import wire


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    one, other = socket.socketpair()
    one.settimeout(5)
    other.settimeout(5)
    with one, other:
        yield one, other


def test_a_frame_arrives_as_it_was_sent(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    wire.send(one, wire.DATA, b"\x00\xff" * 1000)
    wire.send_json(one, wire.RESULT, {"ok": True, "text": "\N{SNOWMAN}"})
    assert wire.receive(other, wire.DATA + wire.END) == (wire.DATA, b"\x00\xff" * 1000)
    assert wire.receive_json(other, wire.RESULT) == {"ok": True, "text": "\N{SNOWMAN}"}


def test_the_largest_frame_arrives_and_a_larger_one_is_not_sent(
    pair: tuple[socket.socket, socket.socket],
) -> None:
    one, other = pair
    largest = bytes(wire.CEILINGS[wire.DATA])
    thread = threading.Thread(target=wire.send, args=(one, wire.DATA, largest))
    thread.start()
    assert wire.receive(other, wire.DATA) == (wire.DATA, largest)
    thread.join()
    with pytest.raises(wire.WireError, match="above its ceiling"):
        wire.send(one, wire.DATA, largest + b"x")


def test_what_is_announced_above_its_ceiling_is_never_read(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    one.sendall(struct.pack(">cI", wire.LOG, 0xFFFFFFFF))
    with pytest.raises(wire.WireError, match="above its ceiling"):
        wire.receive(other, wire.LOG)


def test_a_frame_out_of_turn_is_an_error(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    wire.send(one, wire.END)
    with pytest.raises(wire.WireError, match="expected one of b'H', found b'E'"):
        wire.receive(other, wire.HEADER)


def test_an_end_inside_a_frame_is_the_end(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    one.sendall(struct.pack(">cI", wire.DATA, 100) + b"half")
    one.close()
    with pytest.raises(wire.Closed):
        wire.receive(other, wire.DATA)


def test_a_dripping_sender_has_the_time_of_one_frame(pair: tuple[socket.socket, socket.socket]) -> None:
    one, other = pair
    stop = threading.Event()

    def drip() -> None:
        while not stop.wait(0.05):
            one.send(b"H\x00\x00\x00\x09"[:1])

    thread = threading.Thread(target=drip)
    one.sendall(struct.pack(">cI", wire.HEADER, 10_000))
    thread.start()
    started = time.monotonic()
    with pytest.raises(TimeoutError):
        wire.receive(other, wire.HEADER, within_s=0.5)
    assert time.monotonic() - started < 2
    stop.set()
    thread.join()
    assert other.gettimeout() == 5


@pytest.mark.parametrize("payload", [b"", b"{", b"[1]", b"\xff", b"[" * 100_000])
def test_what_is_no_json_object_is_an_error(payload: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.parse_json(payload)
