"""A remote shell kept open: each command costs one round trip, and its two streams and exit code are exact.

The client sends a line that prints a mark on both streams, runs the command, and prints a second mark with the exit
code; what lies between the marks is the command's, byte for byte. The mark is a random number made for this shell,
so no output can imitate it. Commands never read the shell's own input: the caller gives them `</dev/null`.
What a background process prints between two commands is thrown away.
"""

from __future__ import annotations

import re
import secrets
import threading
import time
from dataclasses import dataclass

from binderbox import layout
from binderbox.world.ssh.talk import Talk

PREAMBLE = (
    f"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 {layout.KUBECTL_CACHE}; "
    "export PATH LC_ALL KUBECACHEDIR; umask 022; cd /"
)


@dataclass(frozen=True)
class Output:
    """What a command gave: its exit code and its two streams, exactly."""

    code: int
    stdout: bytes
    stderr: bytes

    @property
    def ok(self) -> bool:
        """Exit code 0."""
        return self.code == 0

    @property
    def text(self) -> str:
        """stdout as text."""
        return self.stdout.decode(errors="replace")

    @property
    def errors(self) -> str:
        """stderr as text."""
        return self.stderr.decode(errors="replace")

    def tail(self, lines: int = 20) -> str:
        """The last lines of stderr, or of stdout when stderr is empty."""
        return "\n".join((self.errors.strip() or self.text.strip()).splitlines()[-lines:])


class ShellGone(Exception):
    """The shell ended, did not answer in time, or was left in the middle of a command."""


class Shell:
    """Commands over one open shell, one at a time (other threads wait)."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk
        self._nonce = secrets.token_hex(16)
        self._number = 0
        self._usable = True
        self._lock = threading.Lock()

    @property
    def usable(self) -> bool:
        """False once the shell is lost or was interrupted within a command."""
        return self._usable

    @property
    def busy(self) -> bool:
        """Whether another thread's command runs in it."""
        return self._lock.locked()

    def run(self, script: str, *, timeout_s: float | None = None) -> Output:
        """Run a complete piece of sh text that does not read stdin.

        The caller bounds the command on the remote side; `timeout_s` is the last guard, after which the shell is
        given up (ShellGone), because what runs in it cannot be known.
        """
        with self._lock:
            if not self._usable:
                raise ShellGone
            self._usable = False  # stays so if anything, Ctrl-C included, breaks into the exchange
            output = self._exchange(script, timeout_s)
            self._usable = True
            return output

    def close(self) -> None:
        """Close the shell's input; a command that still runs goes on, and the shell ends after it."""
        self._usable = False
        self._talk.close()

    def _exchange(self, script: str, timeout_s: float | None) -> Output:
        self._number += 1
        mark = f"{self._nonce}:{self._number}"
        line = (
            f"printf '{mark}:begin\\n'; printf '{mark}:begin\\n' >&2\n"
            f"{script}\n"
            f"bbx=$?; printf '{mark}:end:%d\\n' $bbx; printf '{mark}:end:%d\\n' $bbx >&2\n"
        )
        self._talk.send([line.encode(errors="surrogateescape")])
        deadline = None if timeout_s is None else time.monotonic() + timeout_s
        out, err = _Cutter(self._talk.out, mark), _Cutter(self._talk.err, mark)
        while not (out.complete() and err.complete()):
            try:
                if not self._talk.pump(deadline):
                    raise ShellGone
            except TimeoutError as late:
                raise ShellGone from late
        return Output(out.code, out.take(), err.take())


class _Cutter:
    """Finds one command's part of a stream; searches each byte once."""

    def __init__(self, buffer: bytearray, mark: str) -> None:
        self._buffer = buffer
        self._begin = f"{mark}:begin\n".encode()
        self._end = re.compile(re.escape(f"{mark}:end:".encode()) + rb"(\d+)\n")
        self._start, self._searched, self._stop, self._after = -1, 0, -1, 0
        self.code = -1

    def complete(self) -> bool:
        if self._start < 0:
            place = self._buffer.find(self._begin)
            if place < 0:
                return False
            self._start = self._searched = place + len(self._begin)
        if self._stop < 0:
            found = self._end.search(self._buffer, self._searched)
            if not found:
                self._searched = max(self._start, len(self._buffer) - 100)  # an end mark has at most 60 bytes
                return False
            self._stop, self._after, self.code = found.start(), found.end(), int(found[1])
        return True

    def take(self) -> bytes:
        taken = bytes(self._buffer[self._start : self._stop])
        del self._buffer[: self._after]
        return taken
