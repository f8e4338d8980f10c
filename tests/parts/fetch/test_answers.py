"""What curl's dump of headers says of a transfer."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest

from binderbox.parts.fetch import answers

MOVED = "HTTP/2 302 \r\nlocation: https://elsewhere.example/x\r\ncontent-length: 0\r\n\r\n"
PROXY = "HTTP/1.1 200 Connection established\r\n\r\n"
WHOLE = "HTTP/1.1 200 OK\r\nContent-Length: 700\r\n\r\n"
REST = "HTTP/2 206 \r\ncontent-length: 100\r\ncontent-range: bytes 600-699/700\r\n\r\n"
BUSY = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 7\r\nContent-Length: 8\r\n\r\n"
TRAILERS = "x-sum: 1\r\n\r\n"


@pytest.mark.parametrize(
    ("dump", "status", "after_s", "size"),
    [
        (WHOLE, 200, 0, 700),
        (MOVED + WHOLE, 200, 0, 700),
        (MOVED.replace("\r\n", "\n") + WHOLE, 200, 0, 700),
        (PROXY + MOVED + PROXY + REST, 206, 0, 700),
        (MOVED + REST + TRAILERS, 206, 0, 700),
        ("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + WHOLE, 200, 0, 700),
        (MOVED + BUSY, 429, 7, 0),  # its length is not the file's
        (BUSY.replace(": 7", ":\t7 "), 429, 7, 0),
        (BUSY.replace("7", "soon"), 429, 0, 0),
        (WHOLE.replace("Content-Length: 700\r\n", ""), 200, 0, 0),
        ("HTTP/2 416 \r\ncontent-range: bytes */700\r\n\r\n", 416, 0, 0),
        (MOVED, 302, 0, 0),
        ("", 0, 0, 0),
        ("SSH-2.0-OpenSSH\r\n", 0, 0, 0),
    ],
)
def test_only_the_last_answer_counts(
    tmp_path: Path, dump: str, status: int, after_s: float, size: int
) -> None:
    head = tmp_path / "head"
    head.write_bytes(dump.encode())
    assert answers.status(head) == (status, after_s)
    assert answers.size(head) == size


def test_no_dump_says_nothing(tmp_path: Path) -> None:
    assert answers.status(tmp_path / "none") == (0, 0)
    assert answers.size(tmp_path / "none") == 0


def test_patience_may_be_asked_for_until_a_time_of_day() -> None:
    soon = datetime.now(UTC) + timedelta(seconds=90)
    assert 85 < answers.wait_s(format_datetime(soon, usegmt=True)) <= 90
    assert answers.wait_s(format_datetime(soon - timedelta(days=1), usegmt=True)) == 0
    assert answers.wait_s("9" * 400) == 999_999_999
    for nothing in ("", "-5", "1.5", "Thu, 99 Foo 2026", "Thu, 01 Jan 99999 00:00:00 GMT", "²"):
        assert answers.wait_s(nothing) == 0
