"""Places in the text of a YAML file, and splices of whole lines, so that everything else stays as it was typed.

A `Document` is the text and what pyyaml composes from it; places are indexes of characters in the text. Nothing is
ever dumped: an edit cuts lines out or puts lines in, in the line ends of the lines around them.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import yaml

from binderbox.errors import DeployRepoError

BREAK = re.compile(r"\r\n|\n|\r")
ALIAS_VALUE = re.compile(r"[ \t]*:\s+(\*[^\s,\]}]+)")
PROPERTIES = re.compile(r"(?:[&!]\S*\s+)+")
FAST: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # where pyyaml was built with libyaml
Pair = tuple[yaml.ScalarNode, yaml.Node]


@dataclass(frozen=True)
class Document:
    """One YAML file: its path in the repository, its text, and the root of what it says (None: nothing)."""

    path: str
    text: str
    root: yaml.Node | None

    def find(self, *keys: str) -> Pair | None:
        """Key and value at this path of mappings, or None. Raises DeployRepoError where a key stands twice."""
        node, found = self.root, None
        for key in keys:
            if not isinstance(node, yaml.MappingNode):
                return None
            found = self.entry(node, key)
            if found is None:
                return None
            node = found[1]
        return found

    def entry(self, mapping: yaml.MappingNode, key: str) -> Pair | None:
        pairs = [pair for pair in scalar_pairs(mapping) if pair[0].value == key]
        if len(pairs) > 1:
            raise self.fault(
                pairs[1][0], f"{key} stands twice, first on line {self.line(pairs[0][0])}", "keep one of them"
            )
        return pairs[0] if pairs else None

    def line(self, node: yaml.Node) -> int:
        """The line on which it stands, from 1."""
        return int(node.start_mark.line) + 1

    def fault(self, node: yaml.Node, what: str, remedy: str = "") -> DeployRepoError:
        return DeployRepoError(f"{self.path}:{self.line(node)}: {what}; nothing was written", remedy=remedy)

    def with_text(self, text: str) -> Document:
        """The same file with another text; raises DeployRepoError for what is no YAML."""
        return read(self.path, text.encode())

    def data(self) -> Any:
        """What a YAML reader makes of the text."""
        return load(self.path, self.text)


@lru_cache(maxsize=32)  # one change reads the same file several times; nobody changes what comes back
def read(path: str, content: bytes) -> Document:
    """Read one file; raises DeployRepoError with file and line for what is no UTF-8 or no YAML."""
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise DeployRepoError(
            f"{path}:{line}: not text in UTF-8; nothing was written", remedy=f"correct {path}"
        ) from error
    try:
        return Document(path, text, yaml.compose(text, Loader=yaml.SafeLoader))
    except yaml.YAMLError as error:
        raise _no_yaml(path, error) from error
    except RecursionError as error:
        raise _too_deep(path) from error


@lru_cache(maxsize=32)
def load(path: str, text: str) -> Any:
    """The plain data of a YAML text; raises DeployRepoError with file and line."""
    try:
        data = yaml.load(text, Loader=FAST)
    except yaml.YAMLError as error:
        raise _no_yaml(path, error) from error
    except RecursionError as error:
        raise _too_deep(path) from error
    except ValueError as error:  # a date that is none, for one
        raise DeployRepoError(
            f"{path}: a value that YAML cannot read: {error}; nothing was written", remedy=f"correct {path}"
        ) from error
    try:
        json.dumps(data, default=str, skipkeys=True)  # what holds itself ends here, and not somewhere later
    except (RecursionError, ValueError) as error:
        raise _too_deep(path) from error
    return data


def _too_deep(path: str) -> DeployRepoError:
    return DeployRepoError(
        f"{path}: it holds itself, or is nested too deep; nothing was written", remedy=f"correct {path}"
    )


def scalar_pairs(mapping: yaml.MappingNode) -> Iterator[Pair]:
    """The entries of a mapping whose keys are plain words."""
    yield from ((key, value) for key, value in mapping.value if isinstance(key, yaml.ScalarNode))


def is_block(node: yaml.Node | None) -> bool:
    """Whether it is a mapping or list that is written in lines, and not in braces."""
    return isinstance(node, yaml.CollectionNode) and not node.flow_style and bool(node.value)


def value_span(document: Document, pair: Pair) -> tuple[int, int]:
    """Where the value of an entry stands, without its anchor or tag; of an alias, where the alias stands."""
    key, value = pair
    if value.start_mark.index < key.end_mark.index:  # composed where its anchor stands, not here
        alias = ALIAS_VALUE.match(document.text, key.end_mark.index)
        if alias is None:
            raise document.fault(key, f"the alias behind {key.value} is written in an unknown way")
        return alias.span(1)
    start, end = value.start_mark.index, value.end_mark.index
    properties = PROPERTIES.match(document.text, start, end)
    return (properties.end() if properties else start), end


def content_end(document: Document, pair: Pair) -> int:
    """Where the last character of an entry's value stands, plus one: not its comments, nor blank lines after it."""
    _, end = value_span(document, pair)
    value = pair[1]
    if value.start_mark.index < pair[0].end_mark.index:
        return end
    return _node_end(document, value)


def _node_end(document: Document, node: yaml.Node) -> int:
    if isinstance(node, yaml.MappingNode) and is_block(node):
        key, value = node.value[-1]
        return content_end(document, (key, value))
    if isinstance(node, yaml.SequenceNode) and is_block(node):
        last = node.value[-1]
        if last.start_mark.index >= node.start_mark.index and last not in node.value[:-1]:
            return _node_end(document, last)
        return len(document.text[: node.end_mark.index].rstrip())  # an alias: the words before the next token
    if isinstance(node, yaml.ScalarNode) and node.style in ("|", ">"):
        text = document.text[node.start_mark.index : node.end_mark.index]
        keeps = "+" in (text.splitlines() or [""])[0].split("#")[0]  # then blank lines after it belong to it
        return int(node.end_mark.index) if keeps else node.start_mark.index + len(text.rstrip())
    return int(node.end_mark.index)


def line_start(text: str, at: int) -> int:
    return max(text.rfind("\n", 0, at), text.rfind("\r", 0, at)) + 1


def line_end(text: str, at: int) -> int:
    """The index behind the line break of the line in which `at` stands."""
    found = BREAK.search(text, at)
    return found.end() if found else len(text)


def lines_from(text: str, at: int) -> Iterator[tuple[int, int, str]]:
    """(start, end, words) of each line from the line start `at` on."""
    while at < len(text):
        end = line_end(text, at)
        yield at, end, text[at:end].rstrip("\r\n")
        at = end


def line_break(text: str, at: int) -> str:
    """The line end in use before `at`, else the file's first, else a newline."""
    before = list(BREAK.finditer(text, max(0, at - 4000), at))
    if before:
        return before[-1].group()
    first = BREAK.search(text)
    return first.group() if first else "\n"


def insert_lines(text: str, at: int, rows: Sequence[str]) -> str:
    """The text with these lines before index `at`, a line start; at the end of a text without a last newline, it
    still has none."""
    ending = line_break(text, at)
    if at == len(text) and text and text[-1] not in "\r\n":
        return text + "".join(ending + row for row in rows)
    return text[:at] + "".join(row + ending for row in rows) + text[at:]


def cut_lines(text: str, start: int, end: int) -> str:
    """The text without the lines from `start` to `end`, both line starts; the reverse of `insert_lines`."""
    if end == len(text) and start and text[end - 1] not in "\r\n":
        start -= 2 if text[:start].endswith("\r\n") else 1
    return text[:start] + text[end:]


def _no_yaml(path: str, error: yaml.YAMLError) -> DeployRepoError:
    mark = getattr(error, "problem_mark", None) or getattr(error, "context_mark", None)
    why = getattr(error, "problem", None) or getattr(error, "context", None) or str(error).splitlines()[0]
    line = mark.line + 1 if mark else 1
    return DeployRepoError(
        f"{path}:{line}: not YAML: {why}; nothing was written", remedy=f"correct {path}:{line}"
    )
