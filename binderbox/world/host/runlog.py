"""The full log of what was done to a host, in a file of this machine's user; secrets are replaced by value.

One file per host, `$XDG_STATE_HOME/binderbox/logs/<host>.log` (mode 0600). When it has grown past MAX_BYTES, a new
run moves it to `.log.1`.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

MAX_BYTES = 10_000_000
SECRET_MIN = 6  # shorter values would blot out ordinary words
HIDDEN = "(secret)"


def log_path(host: str) -> Path:
    """Where the log of `host` is."""
    state = os.environ.get("XDG_STATE_HOME") or str(Path.home() / ".local/state")
    return Path(state) / "binderbox/logs" / f"{re.sub(r'[^A-Za-z0-9._-]', '_', host)}.log"


class RunLog:
    """Appends lines with the time of day; a log that cannot be written never stops the work."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._secrets: set[str] = set()
        try:
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if path.exists() and path.stat().st_size > MAX_BYTES:
                path.replace(path.with_suffix(".log.1"))
            self._file: int | None = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        except OSError:
            self._file = None

    def hide(self, *values: str | bytes) -> None:
        """Never write these values."""
        for value in values:
            text = value.decode(errors="replace") if isinstance(value, bytes) else value
            self._secrets |= {part for part in (text, text.strip()) if len(part) >= SECRET_MIN}

    def clean(self, text: str) -> str:
        """The text with every known secret replaced."""
        for secret in sorted(self._secrets, key=len, reverse=True):
            text = text.replace(secret, HIDDEN)
        return text

    def write(self, text: str) -> None:
        """Append one entry; the lines after its first are indented."""
        if self._file is None:
            return
        entry = self.clean(text).rstrip("\n").replace("\n", "\n    ")
        try:
            os.write(self._file, f"{time.strftime('%Y-%m-%dT%H:%M:%S')} {entry}\n".encode(errors="replace"))
        except OSError:
            self._file = None

    def close(self) -> None:
        """Close the file."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
