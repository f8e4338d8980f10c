"""Faults of a member's config in words: line, key path, what was expected, what was found, nearest known key."""

from __future__ import annotations

import difflib
import re
import types
import typing
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from binderbox.member.yaml import MarkedData, Path

LOGIN = re.compile(r"//[^/\s]*@")  # of an address, which is no business of a terminal's


@dataclass(frozen=True)
class Fault:
    """One fault; `path` is empty for the file as a whole."""

    line: int
    path: Path
    message: str


def render_faults(faults: Iterable[Fault], source: str) -> str:
    """Render all faults as `file:line: key: message`, in the order of the file."""
    ordered = sorted(dict.fromkeys(faults), key=lambda fault: (fault.line, str(fault.path)))
    count = "1 fault" if len(ordered) == 1 else f"{len(ordered)} faults"
    rows = [f"{source}:{fault.line}: {_dotted(fault.path)}{fault.message}" for fault in ordered]
    return "\n".join([f"{source}: {count}", *rows])


def explain(error: ValidationError, marked: MarkedData, root: type[BaseModel]) -> list[Fault]:
    """Say each of pydantic's errors in the words of the file."""
    known = {(fault.path, fault.line) for fault in marked.faults}
    faults = []
    for one in error.errors(include_url=False):
        path = tuple(part for part in one["loc"] if isinstance(part, int) or not part.startswith("function-"))
        parent = path[:-1]
        line = marked.lines.get(path) or marked.lines.get(parent, 1)
        if (path, line) in known:
            continue
        if one["type"] == "extra_forbidden":
            names = list(_model_at(root, parent).model_fields)
            near = difflib.get_close_matches(str(path[-1]), names, n=1, cutoff=0.5)
            message = (
                f"unknown key; did you mean {near[0]}?"
                if near
                else f"unknown key; known are {', '.join(names)}"
            )
        elif one["type"] == "missing":
            message = f"is missing; expected {_expected(root, path)}"
        else:
            why = f" ({one['ctx']['error']})" if one["type"] == "value_error" else ""
            message = f"expected {_expected(root, path)}{why}, found {_found(one['input'], path, marked)}"
        faults.append(Fault(line, path, message))
    # A list whose items are wrong counts as too short besides: the items' own faults are enough.
    inner = {fault.path[:depth] for fault in faults for depth in range(1, len(fault.path))}
    return [fault for fault in faults if fault.path not in inner]


def _model_at(root: type[BaseModel], path: Path) -> type[BaseModel]:
    """Return the model whose keys stand at `path`."""
    model = root
    for part in path:
        if isinstance(part, str):
            model = _model_in(model.model_fields[part].annotation) or model
    return model


def _model_in(annotation: Any) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in typing.get_args(annotation):
        found = _model_in(inner) if not isinstance(inner, types.EllipsisType) else None
        if found:
            return found
    return None


def _expected(root: type[BaseModel], path: Path) -> str:
    names = [part for part in path if isinstance(part, str)]
    model = _model_at(root, path[: path.index(names[-1])])
    if path[-1] != names[-1]:  # an item of a list
        items = {
            "egress_allow": "a mapping of network and ports",
            "ingress_allow": "a mapping of network, protocol and ports",
            "ports": "a port, 1 to 65535",
        }
        return items.get(names[-1], "a certificate")
    return model.model_fields[names[-1]].description or "another value"


def _found(value: object, path: Path, marked: MarkedData) -> str:
    if path and path[0] == "extra_ca":
        return "something else"  # never echo what may be a key
    if isinstance(value, (dict, tuple)) or value is None:
        return _kind(value)
    shown = LOGIN.sub("//...@", marked.shown.get(path, str(value)))
    quoted = f'"{shown}"' if isinstance(value, str) else shown
    return quoted if len(quoted) <= 60 else f"{quoted[:57]}..."


def _kind(value: object) -> str:
    if value is None:
        return "nothing"
    return "a mapping" if isinstance(value, dict) else "a list"


def _dotted(path: Path) -> str:
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path).removeprefix(".")
    return f"{text}: " if text else ""
