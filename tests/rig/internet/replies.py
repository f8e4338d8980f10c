"""What a host of the Internet is asked and answers; a body is sent in blocks and never held whole."""

from __future__ import annotations

import hashlib
import http.client
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.message import Message
from pathlib import Path
from typing import Protocol
from urllib.parse import parse_qs

BLOCK = 1024 * 1024
RANGE = re.compile(r"bytes=(\d*)-(\d*)")
LAST_MODIFIED = "Thu, 01 Jan 1970 00:00:00 GMT"


@dataclass(frozen=True)
class Asked:
    """One request; `path` is decoded and without the query, `target` is both as sent, `body` what came with it."""

    host: str
    method: str
    path: str
    query: str
    target: str
    headers: Message
    body: bytes = b""

    @property
    def names(self) -> tuple[str, ...]:
        """The path, and for a signed link also the name that the file gets, as GitHub says it there."""
        said = parse_qs(self.query).get("response-content-disposition", [])
        return (self.path, *(f"/{one.rpartition('filename=')[2]}" for one in said))


class Body(Protocol):
    """Something to send, of a length that is known before."""

    @property
    def length(self) -> int: ...
    def blocks(self, most: int) -> Iterator[bytes | memoryview]: ...


@dataclass(frozen=True)
class Held:
    """A body that is short enough to be held."""

    data: bytes = b""

    @property
    def length(self) -> int:
        return len(self.data)

    def blocks(self, most: int) -> Iterator[memoryview]:
        for start in range(0, len(self.data), most):
            yield memoryview(self.data)[start : start + most]


@dataclass(frozen=True)
class Span:
    """A part of a file, or all of it."""

    path: Path
    start: int
    length: int

    def blocks(self, most: int) -> Iterator[memoryview]:
        left, room = self.length, memoryview(bytearray(most))
        with self.path.open("rb", buffering=0) as file:
            file.seek(self.start)
            while left and (got := file.readinto(room[: min(most, left)])):
                left -= got
                yield room[:got]


@dataclass(frozen=True)
class Piped:
    """What another server is still sending."""

    source: http.client.HTTPResponse
    length: int

    def blocks(self, most: int) -> Iterator[memoryview]:
        room = memoryview(bytearray(most))
        with self.source:
            while got := self.source.readinto(room):
                yield room[:got]


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body = Held()


Role = Callable[[Asked], Reply]


def whole(body: Body) -> bytes:
    """All of a body, for those that change it."""
    return b"".join(bytes(block) for block in body.blocks(BLOCK))


def text(status: int, words: str) -> Reply:
    return Reply(status, {"Content-Type": "text/plain; charset=utf-8"}, Held(words.encode()))


def moved(status: int, location: str) -> Reply:
    return Reply(status, {"Content-Type": "text/html; charset=utf-8", "Location": location})


def content(asked: Asked, what: bytes | Path, kind: str = "application/octet-stream") -> Reply:
    """Bytes or a file, or the range of them that was asked for, as object stores answer."""
    size = len(what) if isinstance(what, bytes) else what.stat().st_size
    headers = {
        "Content-Type": kind,
        "Accept-Ranges": "bytes",
        "ETag": _etag(what, size),
        "Last-Modified": LAST_MODIFIED,
    }
    # a client that holds a part of something else gets all of this one
    same = asked.headers.get("If-Range", headers["ETag"]) in (headers["ETag"], LAST_MODIFIED)
    wanted = RANGE.fullmatch(asked.headers.get("Range", "")) if same else None
    if wanted is None or wanted[0] == "bytes=-":
        return Reply(200, headers, _part(what, 0, size))
    if wanted[1]:
        start, stop = int(wanted[1]), min(int(wanted[2] or size) + 1, size)
    else:
        start, stop = max(0, size - int(wanted[2])), size
    if start >= stop:
        return Reply(416, headers | {"Content-Range": f"bytes */{size}"})
    headers["Content-Range"] = f"bytes {start}-{stop - 1}/{size}"
    return Reply(206, headers, _part(what, start, stop - start))


def _part(what: bytes | Path, start: int, length: int) -> Body:
    return Held(what[start : start + length]) if isinstance(what, bytes) else Span(what, start, length)


def _etag(what: bytes | Path, size: int) -> str:
    # the cache's files never change, and each recipe has a directory of its own
    named = what if isinstance(what, bytes) else f"{what} {size}".encode()
    return f'"{hashlib.sha256(named).hexdigest()[:16]}"'
