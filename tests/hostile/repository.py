"""A repository of somebody who means harm, or does some: what it has, and how its build must end."""

from __future__ import annotations

from dataclasses import dataclass, field

LEAVES = "ended by its pod"  # one that never ends by itself: its pod is deleted after a while
SHORT = "The disk of this node ran short, and this build wrote most of it"


@dataclass(frozen=True)
class Repository:
    """`ends` is how: Succeeded, Failed, or LEAVES; `says` stands in its log, and `not_said`, where there is one, does not.

    + prepare: sh text that is run in the repository, on the node
    + base: its first line; `{server}` in a Dockerfile is a server that anybody may ask
    + within_s: how long it may take to end
    """

    name: str
    dockerfile: str
    ends: str
    says: str = ""
    not_said: str = ""
    files: dict[str, str] = field(default_factory=dict)
    prepare: str = ""
    plain: bool = False
    within_s: float = 180


def run(code: str) -> str:
    """A step that runs a Python program, from a heredoc."""
    return f"RUN python3 <<'END'\n{code}\nEND"
