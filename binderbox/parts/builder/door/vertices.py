"""What BuildKit does for one build at the moment, by buildctl's trace: client.SolveStatus as JSON, a line each.

Not by its log: that shows one thing at a time, and a stranger's step may go on in it while another fetches.
"""

from __future__ import annotations

import calendar
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

MAX_LINE = 8 << 20  # the first lists all of a Dockerfile's instructions
_TELLS = b'{"vertexes":'  # Go writes fields in their order, and what a step says stands in lines of its own


class Vertices:
    """Fed by whoever reads the trace; looked at by others beside. `told` is whether there was anything in it.

    What is said to have ended because it was cancelled may go on: an archive is unpacked to its end.
    """

    def __init__(self) -> None:
        self.told = False
        self._since: dict[str, float] = {}
        self._rest = b""
        self._skips = False

    @property
    def since(self) -> tuple[float, ...]:
        """When each that is under way began, in seconds since 1970."""
        return tuple(self._since.values())

    @property
    def under_way(self) -> frozenset[str]:
        """Their digests: what is the same in two builds has the same, and BuildKit does it once."""
        return frozenset(self._since)

    def feed(self, piece: bytes) -> None:
        """Take the next bytes of the trace; what is not understood is not there."""
        *lines, rest = piece.split(b"\n")
        if lines:
            first = b"" if self._skips else self._rest + lines[0]
            self._rest, self._skips = b"", False
            for line in (first, *lines[1:]):
                self._take(line)
        if not self._skips:
            self._rest += rest
        if len(self._rest) > MAX_LINE or not _may_tell(self._rest):
            self._rest, self._skips = b"", True

    def _take(self, line: bytes) -> None:
        if not line.startswith(_TELLS):
            return
        with suppress(ValueError, TypeError, KeyError, AttributeError):
            for vertex in json.loads(line)["vertexes"]:
                self._set(vertex)
                self.told = True

    def _set(self, vertex: dict[str, Any]) -> None:
        if vertex.get("completed") and "cancel" not in str(vertex.get("error", "")):
            self._since.pop(vertex["digest"], None)
        elif vertex.get("started"):
            self._since[vertex["digest"]] = _seconds(vertex["started"])


def _may_tell(rest: bytes) -> bool:
    return rest.startswith(_TELLS) or _TELLS.startswith(rest)


def _seconds(text: str) -> float:
    """Of Go's RFC 3339, whose nanoseconds Python 3.10 does not read."""
    whole = calendar.timegm(time.strptime(text[:19], "%Y-%m-%dT%H:%M:%S"))
    return whole + float(f"0{text[19:].rstrip('Z')}")


@contextmanager
def reading(pipe: Path, vertices: Vertices) -> Iterator[int]:
    """A named pipe, made anew, for buildctl to write its trace into; yields the end to read from.

    What is left in it at the block's end, when nobody writes any more, is read.
    """
    pipe.unlink(missing_ok=True)
    os.mkfifo(pipe, 0o600)
    end = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        yield end
    finally:
        with suppress(OSError):
            while piece := os.read(end, 64 << 10):
                vertices.feed(piece)
        os.close(end)
