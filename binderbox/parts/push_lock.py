"""Whoever takes things out of the registry, and whoever puts some in: many who push, or one who sweeps.

Two files, or those who push one after the other would keep him out for ever: who waits to sweep holds the gate that they pass.
Locks of the kernel's, so that nobody's death holds anybody up. Standard library only: it travels to the node.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_S = 0.2
LONGEST_PUSH_S = 1800


class Held(Exception):
    """Pushes did not end in time."""


@contextmanager
def pushing(path: Path) -> Iterator[None]:
    """Push in the block; waits while somebody sweeps, or waits to."""
    with _open(path.with_suffix(".gate")) as gate, _open(path) as lock:
        fcntl.flock(gate, fcntl.LOCK_SH)
        fcntl.flock(lock, fcntl.LOCK_SH)
        fcntl.flock(gate, fcntl.LOCK_UN)
        yield


@contextmanager
def held_back(path: Path, wait_s: float) -> Iterator[None]:
    """Nobody pushes in the block; raises Held when those who do are not done within `wait_s`."""
    deadline = time.monotonic() + wait_s
    with _open(path.with_suffix(".gate")) as gate, _open(path) as lock:
        for one in (gate, lock):
            while True:
                try:
                    fcntl.flock(one, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except BlockingIOError:
                    if time.monotonic() > deadline:
                        raise Held(f"pushes to the registry were not done within {wait_s:.0f} s") from None
                    time.sleep(POLL_S)
        yield


@contextmanager
def _open(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
