"""An error as people read it: four parts, always in the same order."""

from __future__ import annotations

from typing import TYPE_CHECKING

from binderbox.output.report.style import PLAIN, Style

if TYPE_CHECKING:
    from binderbox.errors import BinderboxError


def render_error(error: BinderboxError, style: Style = PLAIN, *, log: str = "", cause: bool = True) -> str:
    """The four parts, in this order: code and what was tried, likely cause, next command, full log.

    `cause=False` where a table of checks above has told it already.
    """
    lines = [f"{style.paint('error', 'error')} {error.code}: {error.message}"]
    log = str(error.log or log)
    told = error.cause if cause else ""
    for name, text in (("cause:", told), ("next: ", error.remedy), ("log:  ", log)):
        if text:
            first, *rest = text.rstrip().splitlines()
            lines.append("\n".join([f"  {name} {first}", *(f"         {line}".rstrip() for line in rest)]))
    return "\n".join(lines)
