"""Reads YAML into plain data and remembers on which line each key stands.

`read(text)` never raises: it returns what could be read, the line of every key path, and the faults of the text
itself (syntax, tabs, a key that stands twice, an anchor that holds itself). Lists come back as tuples.
Paths are tuples such as ("egress_allow", 0, "network"); lines count from 1.

YAML 1.1 traps that are faults here: `010` (octal 8), `1:30` (ninety), `.nan`. Dates stay text. `<<` is no merge.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

import yaml

Path = tuple[str | int, ...]
_PLAIN_NUMBER = re.compile(r"[-+]?(0|[1-9][0-9_]*)")


@dataclass(frozen=True)
class TextFault:
    """Something wrong with the text at `path` (empty: the file), before its meaning is looked at."""

    path: Path
    line: int
    message: str


@dataclass
class MarkedData:
    """`data` is None when nothing could be read; `shown` holds scalars as they stand in the file."""

    data: Any = None
    lines: dict[Path, int] = field(default_factory=dict)
    shown: dict[Path, str] = field(default_factory=dict)
    faults: list[TextFault] = field(default_factory=list)


def read(text: str) -> MarkedData:
    """Read one YAML document; every fault of the text is in `.faults`."""
    marked = MarkedData()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark else 1
        marked.faults.append(TextFault((), line, _explain(error, text, line)))
        return marked
    except yaml.YAMLError as error:  # a control character, or bytes that are no text
        marked.faults.append(TextFault((), 1, f"not YAML: {error}".splitlines()[0]))
        return marked
    if root is not None:
        marked.data = _plain(root, (), marked, ())
    return marked


def _explain(error: yaml.MarkedYAMLError, text: str, line: int) -> str:
    rows = text.splitlines()
    if 0 < line <= len(rows) and "\t" in rows[line - 1]:
        return "a tab: YAML indents with spaces only"
    return f"not YAML: {error.problem or error.context or 'cannot be read'}"


def _plain(node: yaml.Node, path: Path, marked: MarkedData, above: tuple[int, ...]) -> Any:
    marked.lines.setdefault(path, node.start_mark.line + 1)
    if id(node) in above:
        marked.faults.append(TextFault(path, node.start_mark.line + 1, "an alias that holds itself"))
        return None
    above = (*above, id(node))
    if isinstance(node, yaml.MappingNode):
        return _mapping(node, path, marked, above)
    if isinstance(node, yaml.SequenceNode):
        return tuple(_plain(item, (*path, i), marked, above) for i, item in enumerate(node.value))
    marked.shown[path] = str(node.value)
    return _scalar(node, path, marked)


def _mapping(
    node: yaml.MappingNode, path: Path, marked: MarkedData, above: tuple[int, ...]
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for key_node, value_node in node.value:
        line = key_node.start_mark.line + 1
        if not isinstance(key_node, yaml.ScalarNode):
            marked.faults.append(TextFault(path, line, "a key must be a plain word"))
            continue
        key = str(key_node.value)
        here = (*path, key)
        if key in found:
            first = marked.lines[here]
            marked.faults.append(TextFault(here, line, f"stands twice, first on line {first}"))
            continue
        marked.lines[here] = line
        found[key] = _plain(value_node, here, marked, above)
    return found


def _scalar(node: yaml.Node, path: Path, marked: MarkedData) -> Any:
    text, kind = str(node.value), node.tag.rpartition(":")[2]
    line = node.start_mark.line + 1
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in ("true", "yes", "on", "y")
    if kind == "int":
        if _PLAIN_NUMBER.fullmatch(text):
            return int(text.replace("_", ""))
        marked.faults.append(TextFault(path, line, f"expected a plain decimal number, found {text}"))
        return None
    if kind == "float":
        try:
            number = float(text.replace("_", ""))
        except ValueError:
            number = math.nan
        if math.isfinite(number):
            return number
        marked.faults.append(TextFault(path, line, f"expected a plain decimal number, found {text}"))
        return None
    return text
