"""What a deploy that takes long waits for, or how much of its work is left, asked beside it."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from binderbox import layout
from binderbox.deploys.operations.packages import words
from binderbox.errors import BinderboxError
from binderbox.output.progress import Progress
from binderbox.parts.fetch import program
from binderbox.world.host.hosts import Host

EVERY_S = 10.0
LOOK_S = 20


@contextmanager
def watched(
    title: str, watch: Callable[[Host], str] | None, host: Host, progress: Progress, every_s: float = EVERY_S
) -> Iterator[None]:
    """While the block runs, tell every so often what `watch` says; what cannot be asked is not told."""
    if watch is None:
        yield
        return
    over, started = threading.Event(), time.monotonic()

    def look() -> None:
        while not over.wait(every_s):
            try:
                told = watch(host)
            except (BinderboxError, ValueError, KeyError):
                continue
            if told and not over.is_set():
                progress.waiting(title, told, time.monotonic() - started)

    looking = threading.Thread(target=look, name="watching", daemon=True)
    looking.start()
    try:
        yield
    finally:
        over.set()
        looking.join(LOOK_S)


def packages_of_others(host: Host) -> str:
    """Who else installs packages, which an install waits for."""
    return host.run(words(0), timeout_s=LOOK_S).text.strip()


def builds_under_way(host: Host) -> str:
    """Whose builds the builder's restart waits for."""
    said = host.read(layout.DOOR_STATUS)
    names = sorted({str(one["repository"]) for one in json.loads(said)["builds"]}) if said else []
    return f"builds of {', '.join(names)} to end" if names else ""


def fetches(host: Host) -> str:
    """What the host fetches, how much of it is here, how fast it comes and how long it will take."""
    return host.run([*program.WORDS, "progress", layout.FETCH_AHEAD], timeout_s=LOOK_S).text.strip()


def builds_or_fetches(host: Host) -> str:
    return builds_under_way(host) or fetches(host)


def files_left(host: Host) -> str:
    """How much of our directories is still on the disk."""
    paths = (layout.DATA, layout.K3S_DATA, "/var/lib/kubelet")
    output = host.run(["timeout", str(LOOK_S), "du", "-sxm", "--total", "--", *paths], timeout_s=2 * LOOK_S)
    lines = output.text.splitlines()
    return f"{int(lines[-1].split()[0]) / 1000:.1f} GB left" if lines and lines[-1].endswith("total") else ""
