"""Bytes to and from a child process, both ways at once and with a deadline.

`Talk` never blocks on one pipe while another fills, so a flood on stderr cannot stop stdout, and a dead peer shows
as the end of both. What was read waits in `out` and `err`; the caller cuts from them what belongs to it.
"""

from __future__ import annotations

import fcntl
import os
import selectors
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress

CHUNK = 1 << 16
PIPE = 1 << 20  # what Linux lets everybody have; its own 64 kB wake reader and writer sixteen times as often


class Talk:
    """The three pipes of a started process, non-blocking."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        assert process.stdin
        assert process.stdout
        assert process.stderr
        self.process = process
        self.out, self.err = bytearray(), bytearray()
        self._stdin = process.stdin
        self._selector = selectors.DefaultSelector()
        self._feed: Iterator[bytes] = iter(())
        self._pending = memoryview(b"")
        self._last_input = False
        for pipe, buffer in ((process.stdout, self.out), (process.stderr, self.err)):
            os.set_blocking(pipe.fileno(), False)
            self._selector.register(pipe, selectors.EVENT_READ, buffer)
        os.set_blocking(self._stdin.fileno(), False)
        with suppress(OSError, AttributeError):  # beyond the user's limit, or no Linux
            fcntl.fcntl(self._stdin.fileno(), fcntl.F_SETPIPE_SZ, PIPE)

    def send(self, data: Iterable[bytes], *, last: bool = False) -> None:
        """Queue input; with `last` the process's stdin is closed after it."""
        self._feed, self._last_input = iter(data), last
        if not self._stdin.closed and self._stdin not in self._selector.get_map():
            self._selector.register(self._stdin, selectors.EVENT_WRITE)

    def pump(self, deadline: float | None = None) -> bool:
        """Move what can be moved, waiting for something to happen; False when both outputs have ended.

        `deadline` is on time.monotonic()'s clock; TimeoutError when it passes.
        """
        if not any(key.data is not None for key in self._selector.get_map().values()):
            return False
        wait = None if deadline is None else deadline - time.monotonic()
        if wait is not None and wait <= 0:
            raise TimeoutError
        for key, _ in self._selector.select(wait):
            if key.data is None:
                self._write()
                continue
            with suppress(BlockingIOError):
                data = os.read(key.fd, CHUNK)
                if data:
                    key.data.extend(data)
                else:
                    self._selector.unregister(key.fileobj)
        return True

    def drain(self, deadline: float | None = None) -> None:
        """Pump until both outputs have ended."""
        while self.pump(deadline):
            pass

    def close(self) -> None:
        """Close all pipes; the process notices by itself."""
        self._selector.close()
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            if pipe:
                with suppress(OSError):
                    pipe.close()

    def _write(self) -> None:
        try:
            if not self._pending:
                self._pending = memoryview(next(self._feed))
            sent = os.write(self._stdin.fileno(), self._pending)
            self._pending = self._pending[sent:]
        except StopIteration:
            self._selector.unregister(self._stdin)
            if self._last_input:
                self._stdin.close()
        except BlockingIOError:
            pass
        except OSError:  # the reader has gone; its exit status and stderr say why
            self._selector.unregister(self._stdin)
            with suppress(OSError):
                self._stdin.close()


def start(line: list[str]) -> Talk:
    """Start a program with pipes on all three streams, out of reach of the terminal's Ctrl-C."""
    pipe = subprocess.PIPE
    return Talk(
        subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, start_new_session=True, bufsize=0)
    )
