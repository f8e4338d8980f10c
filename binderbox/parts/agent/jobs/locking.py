"""The node's lock, held by a job as a client holds it (world/lock.py): the one waits for the other, and says for whom."""

from __future__ import annotations

import fcntl
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from binderbox import layout
from binderbox.parts.agent.jobs import running

BEAT_S = 5.0
POLL_S = 1.0
FILES = ("lock.json", "lock.beat", "lock.shell")


class Busy(Exception):
    """Somebody works on the node; the text says who, and at what."""


@contextmanager
def hold(who: str, wait_s: float, directory: str = layout.RUN) -> Iterator[Callable[[str], None]]:
    """Hold it for the block, and give a function that tells what is being done. Raises Busy after `wait_s`.

    Commands inherit the descriptor (`running.held`), so that work which outlives us keeps others out.
    """
    place = Path(directory)
    place.mkdir(parents=True, exist_ok=True)
    lock = _take(place, time.monotonic() + wait_s)
    since, over = time.time(), threading.Event()

    def tell(step: str) -> None:
        fresh = place / "lock.new"
        fresh.write_text(json.dumps({"holder": who, "step": step, "since": since}))
        fresh.replace(place / "lock.json")
        (place / "lock.beat").write_text("")

    def beat() -> None:
        while not over.wait(BEAT_S):
            (place / "lock.beat").write_text("")

    tell("starting")
    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    running.held.append(lock)
    try:
        yield tell
    finally:
        running.held.remove(lock)
        over.set()
        thread.join()
        for name in FILES:
            (place / name).unlink(missing_ok=True)
        os.close(lock)


def _take(place: Path, deadline: float) -> int:
    while True:
        lock = os.open(place / "lock", os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        if _free(lock, place / "sessions"):
            (place / "lock.shell").unlink(missing_ok=True)  # of a client that is no more
            return lock
        os.close(lock)
        if time.monotonic() > deadline:
            raise Busy(_holder(place))
        time.sleep(POLL_S)


def _free(lock: int, sessions: Path) -> bool:
    """Take the lock; and nobody's upload may be under way."""
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        other = os.open(sessions, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
        finally:
            os.close(other)
    except BlockingIOError:
        return False
    return True


def _holder(place: Path) -> str:
    with suppress(OSError, ValueError, AttributeError):
        told = json.loads((place / "lock.json").read_text())
        return f"{told.get('holder')} is working on the node, at: {told.get('step')}"
    return "somebody is working on the node"
