"""Runs an operation of ours against given facts, and shows what it would do."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

from pyinfra.api import FileUploadCommand
from pyinfra.context import ctx_host


class Node:
    """A host whose facts are given, by the name of the fact's class."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts, self.noops = facts, list[str]()

    def get_fact(self, fact: type[Any], **arguments: Any) -> Any:
        fact().command(**arguments)  # the command must be one that can be made from these arguments
        return self.facts[fact.__name__]

    def noop(self, why: str) -> None:
        self.noops.append(why)


def commands_of(operation: Any, facts: Mapping[str, Any], arguments: Mapping[str, Any]) -> list[str]:
    """The commands that the operation yields, as text."""
    with ctx_host.use(Node(facts)):
        return [_shown(command) for command in operation._inner(**arguments)]


def _shown(command: Any) -> str:
    if isinstance(command, FileUploadCommand) and isinstance(command.src, BytesIO):
        return f"write {command.dest}: {command.src.getvalue().decode()}"
    return str(command)
