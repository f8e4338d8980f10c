"""Edits of `federationRedirect.hosts` in config/prod.yaml, each guarded: add a member, take one out, set a weight or the prime."""

from __future__ import annotations

from typing import Any

import yaml

from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo.guard import ABSENT, Intent, changed_lines, guard
from binderbox.federation.deployrepo.tree import CONFIG, SECTION
from binderbox.federation.deployrepo.yamllines import append_entry, cut_entry, prepend_entry, step_width
from binderbox.federation.deployrepo.yamltext import (
    BREAK,
    Document,
    Pair,
    is_block,
    line_end,
    line_start,
    value_span,
)
from binderbox.federation.redirector.config import HostEntry

OWN = "# registered member"


def entry_of(host: HostEntry) -> dict[str, Any]:
    """The entry as the file holds it, in the order of its neighbours."""
    return {
        "prime": host.prime,
        "url": host.url,
        "weight": int(host.weight),
        "health": host.health,
        "versions": host.versions,
    }


def add(document: Document, host: HostEntry, remark: str) -> str:
    """The text with a member at the end of the list, below a comment of our own that ends with `remark`."""
    mapping = members(document)
    fields = [
        f"{key}: {str(value).lower() if isinstance(value, bool) else value}"
        for key, value in entry_of(host).items()
    ]
    if is_block(mapping):
        gap = " " * step_width(document, mapping)
        rows = [f"{OWN}{remark}", f"{host.name}:", *(f"{gap}{field}" for field in fields)]
        after = append_entry(document, mapping, rows)
        indent = " " * int(mapping.value[-1][0].start_mark.column)
        added, removed = [indent + row for row in rows], list[str]()
    else:
        after, removed, added = _add_in_braces(document, mapping, f"{host.name}: {{{', '.join(fields)}}}")
    intent = Intent((SECTION, "hosts", host.name), entry_of(host), tuple(removed), tuple(added))
    guard(document.path, document.text, after, intent)
    return after


def remove(document: Document, name: str) -> tuple[str, int]:
    """The text without a member, and the line of a comment of other words that stays above it, 0 if there is none."""
    mapping = members(document)
    pair = document.entry(mapping, name)
    if pair is None:
        raise inherited(document, mapping, name)
    keys = (SECTION, "hosts", name)
    if is_block(mapping):
        after, stays = cut_entry(document, pair, OWN)
        guard(document.path, document.text, after, Intent(keys, ABSENT, None, ()))
        return after, stays
    after, gone, new = _cut_in_braces(document, mapping, pair)
    guard(document.path, document.text, after, Intent(keys, ABSENT, tuple(gone), tuple(new)))
    return after, 0


def set_weight(document: Document, name: str, weight: int) -> str:
    """The text with one line changed; one line more where the member had no weight at all."""
    return _set(document, name, "weight", weight)


def set_prime(document: Document, name: str, prime: bool) -> str:
    """The same for whether it is the prime."""
    return _set(document, name, "prime", prime)


def _set(document: Document, name: str, key: str, value: int | bool) -> str:
    mapping, shown = members(document), str(value).lower()
    pair = document.entry(mapping, name)
    if (
        pair is None
        or not isinstance(pair[1], yaml.MappingNode)
        or pair[1].start_mark.index < pair[0].end_mark.index
    ):
        raise inherited(document, mapping, name)
    for other in ("prime", "weight"):  # a key that stands twice says one thing to us and another to helm
        document.entry(pair[1], other)
    own, keys = document.entry(pair[1], key), (SECTION, "hosts", name, key)
    if own is None and is_block(pair[1]):
        # `prime` is the first line of every entry, `weight` below the address
        after = (
            prepend_entry(document, pair[1], f"{key}: {shown}")
            if key == "prime"
            else append_entry(document, pair[1], [f"{key}: {shown}"])
        )
        indent = " " * int(pair[1].value[-1][0].start_mark.column)
        intent = Intent(keys, value, (), (f"{indent}{key}: {shown}",))
    else:
        if own is None:
            after, gone, new = _add_in_braces(document, pair[1], f"{key}: {shown}")
        else:
            start, end = value_span(document, own)
            after = document.text[:start] + shown + document.text[end:]
            gone, new = (_lines(text, start, start) for text in (document.text, after))
        intent = Intent(keys, value, *((), ()) if document.text == after else (tuple(gone), tuple(new)))
    guard(document.path, document.text, after, intent)
    return after


def members(document: Document) -> yaml.MappingNode:
    """The mapping of members; raises DeployRepoError with the line where it is something else."""
    found = document.find(SECTION, "hosts")
    if found is None or not isinstance(found[1], yaml.MappingNode) or not found[1].value:
        nearest = found or document.find(SECTION)
        line = document.line(nearest[0]) if nearest else 1
        raise DeployRepoError(
            f"{CONFIG}:{line}: no members in {SECTION}.hosts; nothing was written",
            cause="the layout of this repository is not the one that is known",
        )
    return found[1]


def inherited(document: Document, mapping: yaml.MappingNode, name: str) -> DeployRepoError:
    return DeployRepoError(
        f"{document.path}:{document.line(mapping)}: {name} has no lines of its own; nothing was written",
        cause="it comes from an anchor, a merged mapping or the chart's values",
        remedy=f"write it out in {document.path}, or edit by hand",
    )


def _add_in_braces(
    document: Document, mapping: yaml.MappingNode, entry: str
) -> tuple[str, list[str], list[str]]:
    at = mapping.value[-1][1].end_mark.index
    after = f"{document.text[:at]}, {entry}{document.text[at:]}"
    return after, _lines(document.text, at, at), _lines(after, at, at + len(entry))


def _cut_in_braces(
    document: Document, mapping: yaml.MappingNode, pair: Pair
) -> tuple[str, list[str], list[str]]:
    place = next(i for i, (key, _) in enumerate(mapping.value) if key is pair[0])
    start, end = pair[0].start_mark.index, pair[1].end_mark.index
    if place:
        start = mapping.value[place - 1][1].end_mark.index
    elif len(mapping.value) > 1:
        end = mapping.value[1][0].start_mark.index
    if "#" in document.text[start:end]:
        raise document.fault(
            pair[0], f"a comment stands between {pair[0].value} and its neighbour", "take it out by hand"
        )
    after = document.text[:start] + document.text[end:]
    return after, *changed_lines(document.text, after)


def _lines(text: str, start: int, end: int) -> list[str]:
    found: list[str] = BREAK.split(text[line_start(text, start) : line_end(text, end)])
    return found[:-1] if not found[-1] else found
