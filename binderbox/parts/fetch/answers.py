"""What servers say of a transfer: curl's dump of the header blocks of one try, and how long to leave them alone."""

from __future__ import annotations

import re
import time
from email.utils import parsedate_to_datetime
from pathlib import Path

BUSY = {408, 425, 429, 500, 502, 503, 504}  # the same question may be answered in a moment
_SIZES = {206: r"^content-range: *bytes .*/(\d+)", 200: r"^content-length: *(\d+)"}


def wait_s(retry_after: str) -> float:
    """Seconds that a `Retry-After` asks for, which may be a time of day; 0 where it says nothing."""
    text = retry_after.strip()
    if text.isascii() and text.isdigit():
        return float(text[:9])
    try:
        return max(0.0, parsedate_to_datetime(text).timestamp() - time.time())
    except (ValueError, OverflowError):
        return 0.0


def status(head: Path) -> tuple[int, float]:
    """(status, Retry-After in seconds) of the last answer; 0 where there was none."""
    last = _last(head)
    found = re.match(r"HTTP/\S+ (\d+)", last)
    after = re.search(r"^retry-after:(.*)", last, re.I | re.M)
    return int(found[1]) if found else 0, wait_s(after[1]) if after else 0.0


def size(head: Path) -> int:
    """How many bytes the whole file has, by the last answer; 0 where that is not about the file, or does not say."""
    form = _SIZES.get(status(head)[0])
    whole = re.search(form, _last(head), re.I | re.M) if form else None
    return int(whole[1]) if whole else 0


def _last(head: Path) -> str:
    """The last answer's block: redirects, a proxy's and interim ones come before it, trailers may come after."""
    try:
        text = head.read_bytes().decode("latin-1").replace("\r\n", "\n")
    except FileNotFoundError:
        return ""
    return next((one for one in reversed(text.split("\n\n")) if one.startswith("HTTP/")), "")
