"""The history of a mybinder.org-deploy checkout, each change of the federation written anew by our edits at its parent.

    python -m tests.federation.replay CHECKOUT [--since 2023-04-01] [--verbose]

A commit counts when it changes `federationRedirect.hosts` in config/prod.yaml. Equal: our file has the same members in
the same lines as the maintainers'. Refused: our edit raises an error, whose words are shown.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from binderbox.errors import BinderboxError
from binderbox.federation.deployrepo.edits import leave, prime, weight
from binderbox.federation.deployrepo.tree import CONFIG, SECTION, WANTED, DeployTree, hosts_in, make_tree

SINCE = "2023-04-01"
Hosts = dict[str, dict[str, Any]]


@dataclass(frozen=True)
class Played:
    """One commit: what kind of change it was, and what became of ours."""

    commit: str
    kind: str
    result: str
    words: str = ""


def git(path: Path, *args: str) -> bytes:
    return subprocess.run(["git", "-C", str(path), *args], capture_output=True, check=True).stdout


def tree_at(path: Path, commit: str) -> DeployTree | None:
    """None for a commit from before the files had these names."""
    names = git(path, "ls-tree", "-r", "--name-only", "-z", commit).decode().split("\0")
    files = {name: git(path, "cat-file", "blob", f"{commit}:{name}") for name in WANTED if name in names}
    try:
        return make_tree(files, frozenset(filter(None, names)))
    except BinderboxError:
        return None


def hosts_of(tree: DeployTree) -> Hosts:
    return hosts_in(tree.files[CONFIG]) or {}


def section_lines(tree: DeployTree) -> list[str]:
    """The lines of the federation's section, which is what an edit of ours may change."""
    lines = tree.files[CONFIG].decode().splitlines(keepends=True)
    start = next(i for i, line in enumerate(lines) if line.startswith(f"{SECTION}:"))
    end = next((i for i in range(start + 1, len(lines)) if lines[i][:1] not in ("\n", " ", "#")), len(lines))
    return lines[start:end]


def kind_of(before: Hosts, after: Hosts) -> str:
    """What a person would call the change."""
    if set(after) - set(before):
        return "join"
    if any(before[name].get("prime") != after[name].get("prime") for name in after):
        return "prime"
    gone = set(before) - set(after)
    weights = [name for name in after if before[name].get("weight") != after[name].get("weight")]
    other = [name for name in after if {**before[name], "weight": 0} != {**after[name], "weight": 0}]
    if other:
        return "other"
    if gone:
        return "leave with weights" if weights else "leave"
    return "weight" if weights else "order or comments"


def ours(tree: DeployTree, before: Hosts, after: Hosts, kind: str) -> DeployTree:
    """Our own change from the same start. Raises BinderboxError."""
    weights = {
        name: int(after[name].get("weight", 0))
        for name in after
        if before[name].get("weight") != after[name].get("weight")
    }
    if kind == "prime":
        (new,) = [name for name in after if after[name].get("prime")]
        tree = tree.with_files(prime(tree, new, weights).files)
    else:
        for name, value in weights.items():
            tree = tree.with_files(weight(tree, name, value).files)
    for name in set(before) - set(after):
        tree = tree.with_files(leave(tree, name).files)
    return tree


def replay(path: Path, since: str) -> Iterator[Played]:
    """Every commit that changes who is in the federation, the oldest first."""
    listed = git(
        path,
        "log",
        "--reverse",
        "--min-parents=1",
        "--max-parents=1",
        f"--since={since}",
        "--format=%H",
        "--",
        CONFIG,
    )
    for commit in listed.decode().split():
        there, was = tree_at(path, commit), tree_at(path, f"{commit}^")
        if there is None or was is None:
            continue
        before, after = hosts_of(was), hosts_of(there)
        if before == after:
            continue
        kind = kind_of(before, after)
        if sum(bool(entry.get("prime")) for entry in after.values()) != 1:
            yield Played(commit[:8], kind, "not played", "theirs has more than one prime, or none")
            continue
        if kind in ("join", "other", "order or comments"):
            yield Played(commit[:8], kind, "not played")
            continue
        try:
            made = ours(was, before, after, kind)
        except (BinderboxError, ValueError) as error:
            yield Played(commit[:8], kind, "refused", str(getattr(error, "message", error)))
            continue
        equal = section_lines(made) == section_lines(there)
        same_data = hosts_of(made) == after
        yield Played(commit[:8], kind, "equal" if equal else "same members" if same_data else "DIFFERENT")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.federation.replay")
    parser.add_argument("checkout", type=Path)
    parser.add_argument("--since", default=SINCE)
    parser.add_argument("--verbose", action="store_true")
    given = parser.parse_args()
    counts: dict[str, dict[str, int]] = defaultdict(lambda: defaultdict(int))
    different = 0
    for one in replay(given.checkout, given.since):
        counts[one.kind][one.result] += 1
        different += one.result == "DIFFERENT"
        if given.verbose or one.words or one.result != "equal":
            print(f"{one.commit} {one.kind}: {one.result} {one.words}".rstrip())
    for kind, results in sorted(counts.items()):
        told = ", ".join(f"{number} {result}" for result, number in sorted(results.items()))
        print(f"{kind}: {sum(results.values())}: {told}")
    return 1 if different else 0


if __name__ == "__main__":
    sys.exit(main())
