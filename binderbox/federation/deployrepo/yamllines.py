"""Entries of block mappings as ranges of lines: where one ends, where the next one goes, and cutting one out."""

from __future__ import annotations

from collections.abc import Sequence

import yaml

from binderbox.federation.deployrepo.yamltext import (
    Document,
    Pair,
    content_end,
    cut_lines,
    insert_lines,
    line_end,
    line_start,
    lines_from,
)


def column(document: Document, node: yaml.Node) -> int:
    """How far it is indented; raises DeployRepoError where something other than spaces stands before it."""
    start = line_start(document.text, node.start_mark.index)
    before = document.text[start : node.start_mark.index].lstrip("\ufeff")
    if before.strip(" "):
        raise document.fault(
            node, f"{before.strip()!r} stands before it on its line; it needs a line of its own"
        )
    return len(before)


def entry_span(document: Document, pair: Pair) -> tuple[int, int]:
    """The lines of an entry, with comments that stand below it and deeper than its key."""
    key, _ = pair
    indent = column(document, key)
    end = content_end(document, pair)
    if (
        document.text[end - 1] not in "\r\n"
    ):  # a block scalar that keeps its blank lines ends with their last one
        end = line_end(document.text, end)
    return line_start(document.text, key.start_mark.index), _past_comments(document.text, end, indent + 1)


def comment_above(text: str, start: int) -> tuple[int, str]:
    """(start, words) of the line above the line start `start` when it is a comment; else (start, "")."""
    if start == 0:
        return start, ""
    above = line_start(text, start - (2 if text[:start].endswith("\r\n") else 1))
    words = text[above:start].strip()
    return (above, words) if words.startswith("#") else (start, "")


def append_entry(document: Document, mapping: yaml.MappingNode, rows: Sequence[str]) -> str:
    """The text with these lines, indented like its entries, at the end of a block mapping."""
    last: Pair = mapping.value[-1]
    indent = column(document, last[0])
    _, end = entry_span(document, last)
    at = _past_comments(document.text, end, indent)
    return insert_lines(document.text, at, [f"{' ' * indent}{row}" if row else row for row in rows])


def prepend_entry(document: Document, mapping: yaml.MappingNode, row: str) -> str:
    """The text with this line, indented like its entries, above the first one of a block mapping."""
    first: yaml.ScalarNode = mapping.value[0][0]
    indent = column(document, first)
    at = line_start(document.text, first.start_mark.index)
    return insert_lines(document.text, at, [f"{' ' * indent}{row}"])


def cut_entry(document: Document, pair: Pair, own_comment: str) -> tuple[str, int]:
    """The text without an entry, nor the comment right above it if that begins with `own_comment`; and the line
    number of a comment of other words that stays above, 0 if there is none."""
    start, end = entry_span(document, pair)
    above, words = comment_above(document.text, start)
    if words.startswith(own_comment):
        start, words = above, ""
    stays = document.line(pair[0]) - 1 if words else 0
    return cut_lines(document.text, start, end), stays


def step_width(document: Document, mapping: yaml.MappingNode) -> int:
    """How much deeper the entries of its entries stand; 2 where none is written in lines."""
    for key, value in mapping.value:
        if isinstance(value, yaml.MappingNode) and not value.flow_style and value.value:
            inner = value.value[0][0]
            if inner.start_mark.index > key.end_mark.index:
                return max(1, column(document, inner) - column(document, key))
    return 2


def _past_comments(text: str, at: int, indent: int) -> int:
    for _, end, words in lines_from(text, at):
        if not (words.lstrip(" ").startswith("#") and len(words) - len(words.lstrip(" ")) >= indent):
            break
        at = end
    return at
