"""The page of the operations guide that names the registered members: a section of our own, one line a member."""

from __future__ import annotations

import re
from dataclasses import dataclass

from binderbox.federation.deployrepo.guard import guard_lines
from binderbox.federation.deployrepo.scrape import NoPlace
from binderbox.federation.deployrepo.tree import DOCS
from binderbox.federation.deployrepo.yamltext import cut_lines, insert_lines, lines_from

HEADING = "## Registered members"
HEAD = (
    "",
    HEADING,
    "",
    "They run on machines of their own and are reached by their address. Nothing here deploys them: besides this list,"
    " only `config/prod.yaml` and the thanks in `mybinder/values.yaml` name them.",
    "",
)


@dataclass(frozen=True)
class Line:
    """One line of the list."""

    name: str
    url: str
    run_by: str = ""
    where: str = ""
    contact: str = ""

    def render(self) -> str:
        parts = [f"[{self.name}]({self.url})"]
        if self.run_by:
            parts.append(f"run by {self.run_by}")
        if self.where:
            parts.append(f"in {self.where}")
        if self.contact:
            parts.append(f"contact: <{self.contact}>")
        return f"- {', '.join(parts)}"


def add(text: str, line: Line) -> str:
    """The page with this member in the list; as it is where the member has a line. Raises NoPlace."""
    rows, heading = _section(text)
    if heading is None:
        if not text.strip():
            raise NoPlace(f"{DOCS} is empty")
        new, at = [*HEAD, line.render()], len(text)
    else:
        items = [row for row in rows if row[2].startswith("- [")]
        if not items:
            raise NoPlace(f"{DOCS}: the section {HEADING!r} holds no list")
        if any(_is(row[2], line.name) for row in items):
            return text
        new, at = [line.render()], items[-1][1]
    after = insert_lines(text, at, new)
    guard_lines(DOCS, text, after, (), tuple(new))
    return after


def remove(text: str, name: str) -> str:
    """The page without this member's line, and without the section when it was the last one in it."""
    rows, _ = _section(text)
    items = [row for row in rows if row[2].startswith("- [")]
    own = [row for row in items if _is(row[2], name)]
    if not own:
        return text
    start, end, words = own[0]
    gone = [words]
    if len(items) == 1:
        before = [row for row in lines_from(text, 0) if row[1] <= start]
        for head in range(
            2
        ):  # the blank line before the heading is not there in a page that held nothing else
            wanted = HEAD[head:]
            if tuple(row[2] for row in before[-len(wanted) :]) == wanted:
                start, gone = before[-len(wanted)][0], [*wanted, words]
                break
    after = cut_lines(text, start, end)
    guard_lines(DOCS, text, after, tuple(gone), ())
    return after


def _section(text: str) -> tuple[list[tuple[int, int, str]], int | None]:
    rows = list(lines_from(text, 0))
    heading = next((i for i, row in enumerate(rows) if row[2].rstrip() == HEADING), None)
    if heading is None:
        return [], None
    end = next((i for i in range(heading + 1, len(rows)) if re.match(r"#{1,2} ", rows[i][2])), len(rows))
    return rows[heading + 1 : end], heading


def _is(words: str, name: str) -> bool:
    return words.startswith(f"- [{name}](")
