"""Every JSON line that binderbox prints, held against the schemas that ship with it."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

import jsonschema


def load(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = json.loads((files("binderbox.output") / "schemas" / f"{name}.json").read_text())
    return schema


def validate_output(stdout: str, command: str) -> dict[str, Any]:
    """Hold all lines of a command's stdout against their schemas; return the result, which is the last."""
    *events, result = [json.loads(line) for line in stdout.splitlines()]
    for event in events:
        jsonschema.validate(event, load("event"))
    jsonschema.validate(result, load(command))
    assert isinstance(result, dict)
    return result
