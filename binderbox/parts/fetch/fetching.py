"""One file from its address, by curl: over https alone, resumed where it broke off, given its name once its sum holds.

Several may want the same file at once: one of them fetches it, the others wait for that. What was fetched before it
broke off lies beside the file as `.part`, and the next try, of this run or of another, goes on from there.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from binderbox.parts.fetch import answers

CONNECT_S = 20
STALLED_S, STALLED_BYTES_S = 30, 4000  # slower than this for so long is given up, and tried again
TRIES = 5  # in a row that brought less than a line brings that is not stalled
TRIES_AT_ALL = 40
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
LONGEST_ASKED_S = 600.0  # who is asked for more patience than this says so, and ends
WHOLE_S = 3 * 3600
MB, GB = 1_000_000, 1_000_000_000
# curl's exit codes: names, connect, TLS handshake, time, part of a file, empty answer, sending, receiving, HTTP/2, HTTP/3
BROKEN_OFF = {5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92, 95}
HTTP_ERROR, WRITE_ERROR, NO_RANGES = 22, 23, 33
UNREADABLE = 416  # the range: the file is there whole, or it is another


class FetchFailed(Exception):
    """The file could not be had; the text says of which, why, and what was expected."""


def fetch(url: str, sha256: str, path: str, *, options: tuple[str, ...] = ()) -> None:
    """Have the file with this sum at `path`, with its mark beside it; `options` are curl's. Raises FetchFailed."""
    part = Path(f"{path}.part")
    try:
        part.parent.mkdir(parents=True, exist_ok=True)
        with alone(f"{path}.lock") as lock:
            if not is_marked(path, sha256):
                _bring(url, sha256, part, lock, options)
                _accept(part, path, sha256)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise FetchFailed(_no_space(url, part)) from error
        raise FetchFailed(f"{url}: {error}") from error


def _bring(url: str, sha256: str, part: Path, lock: int, options: tuple[str, ...]) -> None:
    """Have a file with this sum at `part`."""
    if part.exists() and _sum(part) == sha256:
        return
    deadline = time.monotonic() + WHOLE_S
    went_on = _download(url, part, lock, options, deadline)
    found = _sum(part)
    if found != sha256 and went_on:  # what was there before may have been of another file
        part.unlink()
        _download(url, part, lock, options, deadline)
        found = _sum(part)
    if found != sha256:
        _forget(part)
        raise FetchFailed(f"{url}: expected sha256 {sha256}, found {found}; it was not used")


def _accept(part: Path, path: str, sha256: str) -> None:
    """Its name for a file whose sum holds."""
    Path(f"{part}.head").unlink(missing_ok=True)
    os.chmod(part, 0o644)
    with part.open("rb") as file:
        os.fsync(file.fileno())
    part.replace(path)
    Path(f"{path}.ok").write_text(mark(path, sha256))


def mark(path: str, sha256: str) -> str:
    """What stands beside a file whose sum held, as deploys/facts/artifacts.py compares it."""
    looks = subprocess.run(["stat", "-c", "%s %y", path], check=True, capture_output=True, text=True).stdout
    return f"{looks.strip()} {sha256}"


def is_marked(path: str, sha256: str) -> bool:
    try:
        return Path(path).is_file() and Path(f"{path}.ok").read_text() == mark(path, sha256)
    except FileNotFoundError:
        return False


@contextmanager
def alone(lock: str, say: Callable[[], None] = lambda: None) -> Iterator[int]:
    """While nobody else has this lock, its descriptor; `say` is called before a wait.

    A program that is given the descriptor holds the lock for as long as it runs: it may outlive us when we are killed,
    and nobody else must write beside it.
    """
    Path(lock).parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield file.fileno()


def progress(path: str) -> tuple[int, int] | None:
    """(bytes here, bytes in all) of a file that is being fetched; None where it is not, 0 in all where nobody said."""
    try:
        return os.stat(f"{path}.part").st_size, answers.size(Path(f"{path}.part.head"))
    except OSError:
        return None


def _download(url: str, part: Path, lock: int, options: tuple[str, ...], deadline: float) -> bool:
    """Bring the whole file to `part`, in as many pieces as it takes; whether its beginning was there before."""
    in_a_row, now, said = 0, _length(part), ""
    went_on = now > 0
    for _ in range(TRIES_AT_ALL):
        before = now
        code, said = _curl(url, part, lock, options, max(1, int(deadline - time.monotonic())))
        if code == 0:
            return went_on
        status, after_s = answers.status(Path(f"{part}.head"))
        if code == NO_RANGES or status == UNREADABLE:
            part.unlink(missing_ok=True)
            went_on = False
        elif code == WRITE_ERROR:
            raise FetchFailed(_no_space(url, part))
        elif not (code in BROKEN_OFF or (code == HTTP_ERROR and status in answers.BUSY)):
            raise FetchFailed(f"{url}: {said or f'curl ended with {code}'}")
        now = _length(part)
        in_a_row = 0 if now - before >= STALLED_S * STALLED_BYTES_S else in_a_row + 1
        if after_s > LONGEST_ASKED_S:
            said = f"{said}; its server asks to be left alone for {after_s:.0f} s"
        pause_s = max(after_s, min(LONGEST_PAUSE_S, PAUSE_S * 2 ** max(0, in_a_row - 1)))
        if in_a_row >= TRIES or after_s > LONGEST_ASKED_S or time.monotonic() + pause_s > deadline:
            break
        time.sleep(pause_s)
    raise FetchFailed(f"{url}: {said}; {now} bytes are here, the same command goes on from there")


def _curl(url: str, part: Path, lock: int, options: tuple[str, ...], within_s: int) -> tuple[int, str]:
    """(exit code, last line of what it said) of one try."""
    head = Path(f"{part}.head")
    words = ["curl", "--disable", "--globoff", "--fail", "--silent", "--show-error"]
    words += ["--location", "--max-redirs", "5", "--proto", "=https", "--proto-redir", "=https"]
    words += ["--user-agent", "binderbox", "--connect-timeout", str(CONNECT_S), "--max-time", str(within_s)]
    words += ["--speed-limit", str(STALLED_BYTES_S), "--speed-time", str(STALLED_S), "--continue-at", "-"]
    words += ["--dump-header", str(head), "--output", str(part), *options, "--", url]
    head.unlink(missing_ok=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False, pass_fds=(lock,))
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def _length(part: Path) -> int:
    return part.stat().st_size if part.exists() else 0


def _no_space(url: str, part: Path) -> str:
    """Why it could not be written; what is here is taken away, so that the host has its space back."""
    size = answers.size(Path(f"{part}.head"))
    _forget(part)
    free = shutil.disk_usage(part.parent).free
    needed = shown(size) if size else "more"
    return f"{url}: cannot be written to {part.parent}: {needed} needed, {shown(free)} free"


def _forget(part: Path) -> None:
    for one in (part, Path(f"{part}.head")):
        one.unlink(missing_ok=True)


def shown(size: int) -> str:
    return f"{size / GB:.2f} GB" if size >= GB else f"{size / MB:.1f} MB"


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
