"""Several things at once from the Internet, with their bytes in the progress, and all that went wrong at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path

from binderbox.artifacts.statements import Unstated
from binderbox.errors import BundleError, NoAnswer
from binderbox.output.progress import Progress
from binderbox.output.report.style import count_of
from binderbox.parts.fetch import fetching
from binderbox.parts.fetch.fetching import FetchFailed

AT_ONCE = 3
LOOK_S = 0.5
MB = 1_000_000
SLOW_BYTES_S = 10_000  # below it nobody can say how long it takes
Task = Callable[[], None]


def bring(tasks: Mapping[Path, Task], sizes: Mapping[Path, int], what: str, progress: Progress) -> None:
    """Run the task of each file of `what`; raises BundleError with all that failed. `sizes` in bytes, where known."""
    started, began_with = time.monotonic(), _here(tasks)
    with ThreadPoolExecutor(AT_ONCE) as pool:
        running: dict[Future[None], Path] = {pool.submit(task): path for path, task in tasks.items()}
        try:
            while any(not one.done() for one in running):
                wait(running, timeout=LOOK_S, return_when=FIRST_EXCEPTION)
                elapsed_s = time.monotonic() - started
                here = _here(tasks)
                told = _told(here, _all(tasks, sizes), (here - began_with) / max(elapsed_s, LOOK_S))
                progress.waiting(what, f"{count_of(len(tasks), 'file')} to fetch", elapsed_s, told)
                if any(one.done() and one.exception() for one in running):
                    time.sleep(LOOK_S)  # the others go on: what they bring stays
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    failed = [(path, error) for one, path in running.items() if (error := one.exception()) is not None]
    faults = [f"{path.name}: {error}" for path, error in failed if isinstance(error, _KNOWN)]
    if faults:
        raise BundleError(
            "\n".join(faults),
            cause="nothing is used before its checksum holds; what has arrived stays, and is not fetched again",
            remedy="run the same command again; it goes on from here",
        )
    for _, error in failed:
        raise error


_KNOWN = (FetchFailed, Unstated, NoAnswer, OSError)


def _here(tasks: Mapping[Path, Task]) -> int:
    """Bytes that have arrived, whole or in part."""
    found = 0
    for path in tasks:
        part = fetching.progress(str(path))
        found += part[0] if part is not None else path.stat().st_size if path.exists() else 0
    return found


def _all(tasks: Mapping[Path, Task], sizes: Mapping[Path, int]) -> int:
    """Bytes in all; 0 while that is not known of each."""
    found = 0
    for path in tasks:
        part = fetching.progress(str(path))
        size = sizes.get(path) or (
            part[1] if part is not None else path.stat().st_size if path.exists() else 0
        )
        if not size:
            return 0
        found += size
    return found


def _told(here: int, whole: int, bytes_s: float) -> str:
    of = f" of {whole / MB:.0f}" if whole else ""
    left = f", about {(whole - here) / bytes_s:.0f} s left" if whole and bytes_s > SLOW_BYTES_S else ""
    return f"{here / MB:.0f}{of} MB are here, {bytes_s / MB:.1f} MB/s{left}"
