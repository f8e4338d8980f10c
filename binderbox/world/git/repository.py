"""A mybinder.org-deploy checkout: read from its last commit, and one commit on a new branch. Nothing is ever pushed.

The commit is made of git's own parts (a temporary index, a tree, a commit object, one compare-and-swap of the branch),
so the user's files, index and current branch stay as they are, and a run that is killed leaves nothing that counts.
"""

from __future__ import annotations

import shlex
import subprocess
import tempfile
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from binderbox.errors import DeployRepoError
from binderbox.world.git.run import run

UNFINISHED = {  # files in the git directory, and what was begun
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
}


@dataclass(frozen=True)
class Checkout:
    """A checkout at `path`; `shown` is what messages call it (a new clone is moved there when it is wanted)."""

    path: Path
    shown: Path

    @property
    def typed(self) -> str:
        """Its path as it is typed in a shell."""
        return shlex.quote(str(self.shown))

    def head(self) -> str:
        """The id of the last commit."""
        return self.git("rev-parse", "--verify", "HEAD^{commit}", what="a checkout without a commit").strip()

    def start(self) -> tuple[str, str]:
        """(branch, commit) to start a change from.

        Raises DeployRepoError for conflicts, unfinished work, a detached head, changed files, and no name to commit as.
        """
        state = self.git("status", "--porcelain=v1", "-z", "--untracked-files=no", "--ignore-submodules")
        rows = [row for row in state.split("\0") if row[2:3] == " "]
        if conflicts := [row[3:] for row in rows if row[:2] in ("DD", "AU", "UD", "UA", "DU", "AA", "UU")]:
            raise self._fault(f"has conflicts in {_some(conflicts)}", "solve them, or give a fresh clone")
        place = Path(self.git("rev-parse", "--absolute-git-dir").strip())
        for name, what in UNFINISHED.items():
            if (place / name).exists():
                raise self._fault(f"has an unfinished {what}", "finish or abort it, or give a fresh clone")
        branch = self.tried("symbolic-ref", "--quiet", "--short", "HEAD").stdout.strip()
        if not branch:
            raise self._fault("has a detached head", f"git -C {self.typed} switch main")
        if rows:
            raise self._fault(
                f"has local changes in {_some([row[3:] for row in rows])}",
                f"commit or stash them: git -C {self.typed} stash",
                "the change would be made without them, from the last commit",
            )
        commit = self.head()
        ident = self.tried("-c", "user.useConfigOnly=true", "var", "GIT_COMMITTER_IDENT")
        if ident.returncode:
            raise self._fault(
                "has no name and address to commit as",
                "git config --global user.name NAME; git config --global user.email ADDRESS",
            )
        return branch, commit

    def read(self, commit: str, wanted: Collection[str]) -> tuple[dict[str, bytes], frozenset[str]]:
        """Contents of those of the wanted files that the commit has, byte for byte; and the paths of all its files."""
        listed = self._entries(commit)
        contents = {}
        for path in wanted:
            if path in listed and listed[path][0] in ("100644", "100755"):
                contents[path] = self._bytes("cat-file", "blob", listed[path][1])
        return contents, frozenset(listed)

    def grep(self, commit: str, words: Collection[str]) -> tuple[tuple[str, int, str], ...]:
        """(path, line number, line) of every line of a commit's text files that holds one of these words, in any case."""
        wanted = [part for word in words for part in ("-e", word)]
        done = run(["-C", str(self.path), "grep", "-zniIF", "--full-name", *wanted, commit, "--", ":/"])
        rows = done.stdout.decode(errors="replace").split("\n") if done.returncode == 0 else []
        found = [row.removeprefix(f"{commit}:").split("\0", 2) for row in rows if row]
        return tuple((path, int(number), text) for path, number, text in found)

    def branch_commit(self, branch: str) -> str | None:
        found = self.tried("rev-parse", "--verify", "--quiet", f"refs/heads/{branch}^{{commit}}")
        return found.stdout.strip() or None

    def write(self, parent: str, branch: str, files: Mapping[str, bytes], message: str) -> tuple[str, bool]:
        """(commit, whether it is new) of a branch that holds exactly this change.

        A branch of that name that holds the same change on the same parent is left as it is; raises DeployRepoError
        for any other.
        """
        tree = self._tree(parent, files)
        there = self.branch_commit(branch)
        if there is not None:
            if self.tried("rev-parse", f"{there}^{{tree}}", f"{there}^").stdout.split() == [tree, parent]:
                return there, False
            raise self._fault(
                f"has a branch {branch} already, with something else on it ({there[:10]})",
                f"git -C {self.typed} branch -D {branch}   (throws that branch away)",
            )
        if above := self.branch_commit(branch.partition("/")[0]):
            name = branch.partition("/")[0]
            raise self._fault(
                f"has a branch {name} ({above[:10]}), and git makes none below it",
                f"git -C {self.typed} branch -m {name} {name}-old",
            )
        signed = self.tried("config", "--type=bool", "commit.gpgsign").stdout.strip() == "true"
        words = ["commit-tree", *(["-S"] if signed else []), tree, "-p", parent, "-F", "-"]
        commit = self.git(*words, stdin=message.encode()).strip()
        self.git("update-ref", "-m", "binderbox", f"refs/heads/{branch}", commit, "0" * len(commit))
        return commit, True

    def written(self) -> bool:
        """Whether a branch of ours is in it."""
        return bool(self.git("for-each-ref", "refs/heads/binderbox"))

    def origin(self) -> str:
        return self.tried("config", "--get", "remote.origin.url").stdout.strip()

    def _tree(self, parent: str, files: Mapping[str, bytes]) -> str:
        listed = self._entries(parent)
        with tempfile.TemporaryDirectory(prefix="binderbox-index-") as scratch:
            index = {"GIT_INDEX_FILE": str(Path(scratch, "index"))}
            self.git("read-tree", parent, more=index)
            for path, content in files.items():
                blob = self.git("hash-object", "-w", "--stdin", "--no-filters", stdin=content).strip()
                mode = listed[path][0] if path in listed else "100644"
                self.git("update-index", "--add", "--cacheinfo", f"{mode},{blob},{path}", more=index)
            return self.git("write-tree", "--missing-ok", more=index).strip()

    def _entries(self, commit: str) -> dict[str, tuple[str, str]]:
        """path -> (mode, object) of every file of a commit."""
        rows = self.git("ls-tree", "-r", "-z", commit).split("\0")
        split = (row.partition("\t") for row in rows if row)
        return {path: (head.split()[0], head.split()[2]) for head, _, path in split}

    def git(
        self, *args: str, what: str = "", stdin: bytes = b"", more: Mapping[str, str] | None = None
    ) -> str:
        done = run(["-C", str(self.path), *args], stdin=stdin, more=more)
        if done.returncode:
            why = done.stderr.decode(errors="replace").strip().splitlines()
            raise self._fault(
                f"is {what}" if what else f"refused `git {args[0]}`",
                f"git -C {self.typed} status",
                "\n".join(why[-5:]),
            )
        return done.stdout.decode("utf-8", "surrogateescape")

    def _bytes(self, *args: str) -> bytes:
        done = run(["-C", str(self.path), *args])
        if done.returncode:
            raise self._fault(
                "lacks the contents of a file",
                f"git -C {self.typed} fetch",
                done.stderr.decode(errors="replace"),
            )
        return done.stdout

    def tried(self, *args: str) -> subprocess.CompletedProcess[str]:
        done = run(["-C", str(self.path), *args])
        texts = (stream.decode("utf-8", "surrogateescape") for stream in (done.stdout, done.stderr))
        return subprocess.CompletedProcess(done.args, done.returncode, *texts)

    def _fault(self, what: str, remedy: str, cause: str = "") -> DeployRepoError:
        return DeployRepoError(f"{self.shown} {what}; nothing was written", cause=cause, remedy=remedy)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
