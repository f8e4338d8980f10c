"""What a change of the deployment repository is made of: files, words for the reviewer, and a list of what is done."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from difflib import unified_diff

from binderbox.federation.deployrepo.tree import DeployTree

FIRST_WEIGHT = 5  # new members started at 5 to 10: mybinder.org-deploy 206011cb, #3267
FIRST_QUOTA = 20  # pods; with the redirector's headroom of 10 a member takes launches up to 9
LINE = re.compile(r"[^\n]*\n|[^\n]+")


@dataclass(frozen=True)
class Step:
    """One line of a checklist: what, whether this change does it, and where or why not."""

    what: str
    done: bool
    note: str = ""


@dataclass(frozen=True)
class Change:
    """The files that differ, with their new content; `title` and `body` are the commit's and the pull request's."""

    files: Mapping[str, bytes]
    title: str
    body: str
    steps: tuple[Step, ...] = ()


def changed(tree: DeployTree, texts: Mapping[str, str]) -> dict[str, bytes]:
    """Of these texts by path, the files that differ from the tree's."""
    contents = {path: text.encode() for path, text in texts.items()}
    return {path: content for path, content in contents.items() if tree.files.get(path) != content}


def render_diff(tree: DeployTree, change: Change) -> str:
    """The change as `git diff` would show it, three lines around each hunk; "" when nothing differs."""
    parts = []
    for path, content in change.files.items():
        old, new = (LINE.findall(side.decode()) for side in (tree.files[path], content))
        rows = [
            row if row.endswith("\n") else f"{row}\n\\ No newline at end of file\n"
            for row in unified_diff(old, new, f"a/{path}", f"b/{path}")
        ]
        parts.append("".join(rows))
    return "".join(parts)
