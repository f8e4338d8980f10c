"""One file from its address, by curl: over https alone, resumed where it broke off, given its name once its sum holds.

Several may want the same file at once: one of them fetches it, the others wait for that. What was fetched before it
broke off lies beside the file as `.part`, and the next try, of this run or of another, goes on from there.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

CONNECT_S = 20
STALLED_S, STALLED_BYTES_S = 30, 4000  # slower than this for so long is given up, and tried again
TRIES = 5  # in a row that brought nothing new
TRIES_AT_ALL = 40
PAUSE_S, LONGEST_PAUSE_S = 1.0, 60.0
WHOLE_S = 3 * 3600
GB = 1_000_000_000
# curl's exit codes: names, connect, TLS handshake, time, part of a file, empty answer, sending, receiving, HTTP/2, HTTP/3
BROKEN_OFF = {5, 6, 7, 16, 18, 28, 35, 52, 55, 56, 92, 95}
HTTP_ERROR, WRITE_ERROR, NO_RANGES, TOO_MANY, NOT_HTTPS = 22, 23, 33, 47, 1
RETRIED = {408, 425, 429, 500, 502, 503, 504}
UNREADABLE = 416  # the range: the file is there whole, or it is another


class FetchFailed(Exception):
    """The file could not be had; the text says of which, why, and what was expected."""


def fetch(url: str, sha256: str, path: str, *, options: tuple[str, ...] = ()) -> None:
    """Have the file with this sum at `path`, with its mark beside it; `options` are curl's. Raises FetchFailed."""
    target = Path(path)
    target.parent.mkdir(parents=True, exist_ok=True)
    with alone(f"{path}.lock"):
        if is_marked(path, sha256):
            return
        part = Path(f"{path}.part")
        if not (part.exists() and _sum(part) == sha256):
            began_at = part.stat().st_size if part.exists() else 0
            _download(url, part, options)
            if began_at and _sum(part) != sha256:  # what was there before may have been of another file
                part.unlink()
                _download(url, part, options)
        Path(f"{part}.head").unlink(missing_ok=True)
        found = _sum(part)
        if found != sha256:
            part.unlink()
            raise FetchFailed(f"{url}: expected sha256 {sha256}, found {found}; it was not used")
        os.chmod(part, 0o644)
        with part.open("rb") as file:
            os.fsync(file.fileno())
        part.replace(target)
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
def alone(lock: str, say: Callable[[], None] = lambda: None) -> Iterator[None]:
    """While nobody else has this lock; `say` is called before a wait."""
    Path(lock).parent.mkdir(parents=True, exist_ok=True)
    with open(lock, "w") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            say()
            fcntl.flock(file, fcntl.LOCK_EX)
        yield


def progress(path: str) -> tuple[int, int] | None:
    """(bytes here, bytes in all) of a file that is being fetched; None where it is not, 0 in all where nobody said."""
    try:
        return os.stat(f"{path}.part").st_size, _size(Path(f"{path}.part.head"))
    except OSError:
        return None


def _download(url: str, part: Path, options: tuple[str, ...]) -> None:
    """Bring the whole file to `part`, in as many pieces as it takes."""
    deadline, in_a_row = time.monotonic() + WHOLE_S, 0
    for _ in range(TRIES_AT_ALL):
        before = part.stat().st_size if part.exists() else 0
        code, said = _curl(url, part, options, max(1, int(deadline - time.monotonic())))
        if code == 0:
            return
        status, after_s = _status(Path(f"{part}.head"))
        if code == NO_RANGES or status == UNREADABLE:
            part.unlink(missing_ok=True)
        elif code == WRITE_ERROR:
            raise FetchFailed(_no_space(url, part))
        elif not (code in BROKEN_OFF or (code == HTTP_ERROR and status in RETRIED)):
            raise FetchFailed(f"{url}: {said or f'curl ended with {code}'}")
        now = part.stat().st_size if part.exists() else 0
        in_a_row = 0 if now > before else in_a_row + 1
        if in_a_row >= TRIES or time.monotonic() > deadline:
            break
        time.sleep(min(LONGEST_PAUSE_S, max(after_s, PAUSE_S * 2 ** max(0, in_a_row - 1))))
    raise FetchFailed(f"{url}: {said}; {now} bytes are here, the same command goes on from there")


def _curl(url: str, part: Path, options: tuple[str, ...], within_s: int) -> tuple[int, str]:
    """(exit code, last line of what it said) of one try."""
    words = ["curl", "--fail", "--silent", "--show-error", "--location", "--max-redirs", "5"]
    words += ["--proto", "=https", "--proto-redir", "=https", "--user-agent", "binderbox"]
    words += ["--connect-timeout", str(CONNECT_S), "--max-time", str(within_s)]
    words += ["--speed-limit", str(STALLED_BYTES_S), "--speed-time", str(STALLED_S)]
    words += [
        "--continue-at",
        "-",
        "--dump-header",
        f"{part}.head",
        "--output",
        str(part),
        *options,
        "--",
        url,
    ]
    Path(f"{part}.head").unlink(missing_ok=True)
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    lines = done.stderr.strip().splitlines()
    return done.returncode, lines[-1] if lines else ""


def _status(head: Path) -> tuple[int, float]:
    """(status, Retry-After in seconds) of the last answer; 0 where there was none."""
    text = head.read_text("latin-1") if head.exists() else ""
    last = text.strip().split("\n\n" if "\r" not in text else "\r\n\r\n")[-1]
    status = re.match(r"HTTP/\S+ (\d+)", last)
    after = re.search(r"^retry-after: *(\d+)", last, re.I | re.M)
    return int(status[1]) if status else 0, float(after[1]) if after else 0.0


def _size(head: Path) -> int:
    """How many bytes the whole file has, by the last answer's headers."""
    last = head.read_text("latin-1").strip().split("\r\n\r\n")[-1] if head.exists() else ""
    whole = re.search(r"^content-range: bytes .*/(\d+)", last, re.I | re.M) or re.search(
        r"^content-length: *(\d+)", last, re.I | re.M
    )
    return int(whole[1]) if whole else 0


def _no_space(url: str, part: Path) -> str:
    """Why it could not be written; what is here is taken away, so that the host has its space back."""
    size = _size(Path(f"{part}.head"))
    part.unlink(missing_ok=True)
    free = shutil.disk_usage(part.parent).free
    needed = f"{size / GB:.2f} GB" if size else "more"
    return f"{url}: cannot be written to {part.parent}: {needed} needed, {free / GB:.2f} GB free"


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
