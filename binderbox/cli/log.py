"""The log of a run: what the package "binderbox" logs goes into the host's own log file, beside what ssh did there."""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from pathlib import Path

from binderbox.world.host.runlog import log_path

FORMAT = "%(asctime)s %(levelname)s %(name)s: %(message)s"
TIME = "%Y-%m-%dT%H:%M:%S"


def open_log(host: str, *, echo: bool) -> Path:
    """Send the logger "binderbox" to the log of `host`, with `echo` to stderr as well; return the file's path."""
    path = _writable(log_path(host))
    logger = logging.getLogger("binderbox")
    logger.setLevel(logging.DEBUG)
    handlers: list[logging.Handler] = [logging.FileHandler(path, encoding="utf-8")]
    if echo:
        handlers.append(logging.StreamHandler(sys.stderr))
    for handler in handlers:
        handler.setFormatter(logging.Formatter(FORMAT, TIME))
        logger.addHandler(handler)
    return path


def close_log() -> None:
    """Close what `open_log` opened; in a program that goes on, the next run starts afresh."""
    logger = logging.getLogger("binderbox")
    for handler in tuple(logger.handlers):
        logger.removeHandler(handler)
        if isinstance(handler, logging.FileHandler):
            handler.close()


def _writable(path: Path) -> Path:
    """The file, made if need be and readable by its owner alone; a temporary one where that cannot be."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.close(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600))
        return path
    except OSError:
        return Path(tempfile.mkdtemp(prefix="binderbox-log-")) / path.name
