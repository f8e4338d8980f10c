"""What a checkout knows besides its files: where a change starts, what a file was, and what we keep in it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from binderbox.world.git.repository import Checkout
from binderbox.world.git.run import run

OFFICIAL = "jupyterhub/mybinder.org-deploy"


@dataclass(frozen=True)
class Past:
    """A file as one commit left it, b"" where it took the file away; `date` is the commit's day as YYYY-MM-DD."""

    commit: str
    time_s: float
    date: str
    content: bytes


def start_notes(checkout: Checkout, commit: str) -> tuple[str, ...]:
    """What is worth knowing of where a change starts, by what this checkout last fetched; and hooks that do not run."""
    notes, branch = [], checkout.tried("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
    origin = _upstream(checkout)
    if origin:
        counted = checkout.tried("rev-list", "--left-right", "--count", f"{origin}...{commit}").stdout.split()
        behind, ahead = map(int, counted) if len(counted) == 2 else (0, 0)
        if ahead:
            notes.append(
                f"it starts from {branch}, which has {ahead} commits that {origin} has not: they are pushed with it"
            )
        if behind:
            notes.append(
                f"it starts from {branch}, which is {behind} commits behind {origin}: git -C {checkout.typed} pull"
            )
    elif branch not in ("main", "master"):
        notes.append(f"it starts from {branch}, and no remote is known to compare it with")
    hooks = Path(checkout.path, checkout.git("rev-parse", "--git-path", "hooks").strip())
    for hook in ("pre-commit", "commit-msg"):
        if os.access(hooks / hook, os.X_OK):
            notes.append(f"the hook {hook} was not run: git commit --amend --no-edit on the branch runs it")
    return tuple(notes)


def _upstream(checkout: Checkout) -> str:
    """The main branch of the remote that is the federation's own, by its address or name, else of origin; "" for none."""
    urls = checkout.tried("config", "--get-regexp", r"^remote\..*\.url$").stdout.splitlines()
    named = [line.split(" ", 1) for line in urls]
    remotes = [key.removeprefix("remote.").removesuffix(".url") for key, url in named if OFFICIAL in url]
    listed = checkout.tried("for-each-ref", "--format=%(refname:short)", "refs/remotes").stdout.split()
    wanted = (
        f"{remote}/{branch}" for remote in (*remotes, "upstream", "origin") for branch in ("main", "master")
    )
    return next((one for one in wanted if one in listed), "")


def past(checkout: Checkout, path: str, most: int) -> Iterator[Past]:
    """The last commits that changed a file, from the latest back; none in a clone that has not all of them."""
    if checkout.git("rev-parse", "--is-shallow-repository").strip() == "true":
        return
    listed = checkout.git(
        "log", f"-{most}", "--full-history", "--format=%H %ct %cs", "HEAD", "--", f":/{path}"
    )
    for row in listed.splitlines():
        commit, time_s, date = row.split()
        content = run(["-C", str(checkout.path), "cat-file", "blob", f"{commit}:{path}"]).stdout
        yield Past(commit, float(time_s), date, content)


def recalled(checkout: Checkout, name: str) -> str:
    """What `remember` kept under this name; "" for nothing."""
    return checkout.tried("cat-file", "blob", f"refs/binderbox/{name}").stdout


def remember(checkout: Checkout, name: str, text: str) -> None:
    """Keep a text in this checkout, in no branch and no file of it."""
    blob = checkout.git("hash-object", "-w", "--stdin", stdin=text.encode()).strip()
    checkout.git("update-ref", f"refs/binderbox/{name}", blob)
