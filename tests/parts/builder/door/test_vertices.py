"""What is under way in a build, by the trace that buildctl writes."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from binderbox.parts.builder.door.vertices import MAX_LINE, Vertices, reading

BEGAN, ENDED = "2026-11-29T07:32:36.002954465Z", "2026-11-29T07:32:37Z"


def line(digest: str, **times: str) -> bytes:
    return (
        json.dumps({"vertexes": [{"digest": digest, "name": "ADD", **times}]}, separators=(",", ":")).encode()
        + b"\n"
    )


def test_what_has_begun_and_not_ended_is_under_way() -> None:
    vertices = Vertices()
    vertices.feed(line("a") + line("b", started=BEGAN) + line("c", started="2026-11-29T07:32:36Z"))
    assert vertices.since == pytest.approx((1795937556.002954, 1795937556.0))
    vertices.feed(line("b", started=BEGAN, completed=ENDED))
    assert vertices.since == (1795937556.0,)


def test_what_was_cancelled_may_go_on_and_what_failed_does_not() -> None:
    vertices = Vertices()
    vertices.feed(line("unpacks", started=BEGAN) + line("step", started=BEGAN))
    vertices.feed(line("unpacks", started=BEGAN, completed=ENDED, error="failed to solve: context canceled"))
    vertices.feed(
        line(
            "step", started=BEGAN, completed=ENDED, error='process "/bin/sh" did not complete: exit code: 137'
        )
    )
    assert vertices.under_way == {"unpacks"}


def test_it_comes_in_any_pieces_and_a_steps_words_are_no_part_of_it() -> None:
    """A step's log is in lines that begin otherwise, and may have any size."""
    vertices = Vertices()
    log = b'{"logs":[{"vertex":"a","data":"' + b"x" * (MAX_LINE + 9) + b'"}]}\n'
    text = line("a", started=BEGAN) + log + b"{ garbage\n" + b'{"vertexes":[7]}\n' + line("b", started=ENDED)
    for at in range(0, len(text), 65_537):
        vertices.feed(text[at : at + 65_537])
        assert len(vertices._rest) <= MAX_LINE
    for letter in line("a", completed=ENDED):
        vertices.feed(bytes([letter]))
    assert vertices.since == (1795937557.0,)


def test_a_line_without_an_end_is_not_kept() -> None:
    vertices = Vertices()
    vertices.feed(b'{"vertexes":[' + b"x" * MAX_LINE)
    vertices.feed(b"y" * 100)
    assert vertices._rest == b""
    vertices.feed(b"\n" + line("b", started=ENDED))
    assert vertices.since == (1795937557.0,)


def test_the_pipe_is_there_before_anybody_writes_and_nothing_in_it_is_lost(tmp_path: Path) -> None:
    for _ in range(2):  # the second one after one that was killed
        vertices = Vertices()
        with reading(tmp_path / "trace", vertices) as end:
            writer = os.open(tmp_path / "trace", os.O_RDWR)
            os.write(writer, b"told")
            assert os.read(end, 100) == b"told"
            os.write(writer, line("a", started=BEGAN) + line("b", started=ENDED))
            os.close(writer)
        assert vertices.under_way == {"a", "b"}
