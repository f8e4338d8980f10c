"""Why a build failed, in a sentence for the person who waits for it, and whether it is worth a second try. Pure.

buildctl 0.32.2 says so in its last line, `error: failed to solve: ...`. What it says of this node is for operators.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass

NEAR = 25  # lines: what a visitor sees of a log without going back in it
AGAIN = "Please try again in a few minutes."
# The daemon behind a connection that ended: BuildKit's own (killed, upgraded), or the containerd below it. Both are asked by
# gRPC over a unix socket; what a build fetches fails in much the same words, over TCP, and is nobody's restart.
GONE = re.compile(
    r"error reading from server|transport is closing|ttrpc: closed|code = Unavailable|Unavailable: connection error"
    r"|\bunix\b.*(connection (refused|reset)|no such file)|containerd\.sock.*(no such file|EOF)"
    r"|failed to (dial|list workers)"
)
FULL = re.compile(r"no space left on device|disk quota exceeded", re.I)
KILLED = re.compile(r"exit code: 137\b")
LAST = re.compile(
    r"^(?:error|ERROR): (?=failed to |listing workers )(?:failed to (?:solve|receive status|build): )*(.+)$",
    re.M,
)


@dataclass(frozen=True)
class Reason:
    """`again`: the node is to blame, and another try may well succeed."""

    text: str
    again: bool = False


def explain(output: str, code: int, step_memory_gb: float) -> Reason:
    """The reason of a buildctl that ended with `code`, from the end of what it printed."""
    found = LAST.findall(output)
    last = found[-1].strip() if found else ""
    if GONE.search(last):
        return Reason(f"The builder of this node was restarted while it built. {AGAIN}", again=True)
    if FULL.search(last) or FULL.search(output[-2000:]):
        return Reason(f"This node has too little free disk for the build. {AGAIN}")
    if KILLED.search(last):
        limit = f"more memory than this node gives to one step of a build, {step_memory_gb:g} GB"
        return Reason(f"A step of the build was killed (exit code 137). Most often it needed {limit}. {last}")
    return Reason(f"The build failed: {last}" if last else f"The build failed (buildctl: exit status {code})")


class Once:
    """Takes out of buildctl's plain progress what it says a second time at its end: the error, and a failing command's last
    lines, unless others have come between: of steps that run beside each other, those of the one that fails stand far above.

    They stand between two lines of dashes, the first of which is followed by ` > [STEP]`; lines of commands all have
    a number before them, so none of theirs looks like that.
    """

    def __init__(self) -> None:
        self._dashes = b""
        self._block: list[bytes] = []
        self._near: deque[bytes] = deque(maxlen=NEAR)

    def pass_on(self, lines: bytes) -> bytes:
        """What of some whole lines is new."""
        return b"".join(map(self._one, lines.splitlines(keepends=True)))

    def _one(self, line: bytes) -> bytes:
        """What follows from one more line, which may be that it is waited for the next."""
        dashes, self._dashes = self._dashes, b""
        if line.rstrip() == b"------":
            if not self._block:
                self._dashes = line
                return dashes
            block, self._block = [*self._block, line], []
            return b"" if all(one in self._near for one in block[2:-1]) else b"".join(block)
        if dashes and line.startswith(b" > ["):
            self._block = [dashes, line]
            return b""
        if self._block:
            self._block.append(line)
            return b""
        self._near.append(line.partition(b" ")[2] if line.startswith(b"#") else line)
        return dashes + (b"" if line.startswith((b"error: failed to ", b"ERROR: failed to ")) else line)
