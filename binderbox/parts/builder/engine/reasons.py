"""Why repo2docker ends before anything is built, for the person who waits."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from types import TracebackType

Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def with_the_file(hook: Hook) -> Hook:
    """An excepthook that names the file which is no UTF-8 text; Python's own words name a byte and a position."""

    def told(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
        if isinstance(error, UnicodeDecodeError) and (name := _being_read(traceback)):
            error = ValueError(f"{name} is no UTF-8 text ({error}). Save it as UTF-8.")
        hook(type(error), error, traceback)

    return told


def _being_read(traceback: TracebackType | None) -> str:
    """The file that the innermost function had open."""
    name = ""
    while traceback:
        for value in traceback.tb_frame.f_locals.values():
            if isinstance(value, io.TextIOWrapper):
                name = os.path.relpath(str(value.name))
        traceback = traceback.tb_next
    return name
