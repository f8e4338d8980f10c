"""The deployment repository as the follower reads it: commits of one branch, newest first, by git."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from binderbox import layout
from binderbox.federation.following.follow import CHART_FILE, VALUES_FILE, Pins, read_pins
from binderbox.parts.agent.jobs.running import run

DIRECTORY = f"{layout.AGENT_DATA}/deploy.git"
DEPTH = 400  # commits; the two files changed about 80 times in 19 months: mybinder.org-deploy 95860dbc
LOOKED_AT = 60  # how many changes of the two files are walked back
FETCH_S = 300
TIP = "refs/heads/followed"


def update(url: str, branch: str) -> str:
    """Bring the newest commits here and return the newest one; files come as they are asked for."""
    _git("init", "-q", "--bare", DIRECTORY, inside=False)
    # a blob that is not here is fetched from where the rest came from
    for key, value in (("remote.origin.url", url), ("remote.origin.promisor", "true")):
        _git("config", key, value)
    _git("config", "remote.origin.partialclonefilter", "blob:none")
    fetch = ("fetch", "-q", "--no-tags", f"--depth={DEPTH}", "--filter=blob:none", "origin")
    _git(*fetch, f"+refs/heads/{branch}:{TIP}", timeout_s=FETCH_S)
    return _git("rev-parse", TIP).strip()


def history() -> Iterator[Pins]:
    """The pins of each commit that changed one of the two files, newest first; raises ValueError, CommandFailed.

    Only the first parents: what stood on the branch, not what was tried beside it.
    """
    changed = _git(
        "rev-list", "--first-parent", f"--max-count={LOOKED_AT}", TIP, "--", CHART_FILE, VALUES_FILE
    )
    for commit in changed.split():
        yield read_pins(commit, chart_of(commit), values_of(commit))


def chart_of(commit: str) -> Any:
    """What mybinder's chart is made of, as that commit has it."""
    return _parsed(commit, CHART_FILE)


def values_of(commit: str) -> Any:
    """mybinder's values as that commit has them."""
    return _parsed(commit, VALUES_FILE)


def _parsed(commit: str, path: str) -> Any:
    try:
        return yaml.safe_load(_git("show", f"{commit}:{path}", timeout_s=FETCH_S))
    except yaml.YAMLError as error:
        raise ValueError(f"{commit[:8]} {path}: no YAML: {error}") from error


def _git(*words: str, timeout_s: float = 60, inside: bool = True) -> str:
    place = ("-C", DIRECTORY) if inside else ()
    safe = ("-c", "safe.directory=*", "-c", "credential.helper=", "-c", "core.askPass=true")
    return run(["env", "GIT_TERMINAL_PROMPT=0", "git", *safe, *place, *words], timeout_s=timeout_s)
