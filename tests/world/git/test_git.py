"""Commits in a checkout: one on a new branch or nothing, and never a change of what the user has there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from binderbox.errors import DeployRepoError
from binderbox.federation.deployrepo.tree import CONFIG
from binderbox.world.git import clones
from binderbox.world.git import repository as world
from tests.federation.checkouts import git, make_checkout

CHANGE = {CONFIG: b"changed: \xf0\x9f\xa4\x8d\r\n", "new/file": b"new"}


@pytest.fixture
def there(tmp_path: Path) -> Path:
    return make_checkout(tmp_path / "deploy")


def state(path: Path) -> tuple[object, ...]:
    """All that a user has: files, index, branch, other branches."""
    files = {
        str(file): file.read_bytes()
        for file in path.rglob("*")
        if file.is_file() and ".git" not in file.parts
    }
    index = (path / ".git/index").read_bytes()
    return files, index, git(path, "symbolic-ref", "HEAD"), git(path, "rev-parse", "main")


def test_one_commit_on_a_new_branch_and_nothing_else(there: Path) -> None:
    before = state(there)
    with clones.opened(str(there / "config")) as checkout:
        branch, commit = checkout.start()
        made, new = checkout.write(commit, "binderbox/x", CHANGE, "Title\n\nBody\n")
        again = checkout.write(commit, "binderbox/x", CHANGE, "Title\n\nother words\n")
    assert (branch, new, again) == ("main", True, (made, False))
    assert state(there) == before
    assert git(there, "rev-parse", "binderbox/x", "binderbox/x^") == f"{made}\n{commit}"
    assert (
        git(there, "log", "-1", "--format=%an %ae %s|%b", made) == "Somebody somebody@example.org Title|Body"
    )
    shown = subprocess.run(
        ["git", "-C", str(there), "show", f"{made}:{CONFIG}"], capture_output=True, check=True
    )
    assert shown.stdout == CHANGE[CONFIG]
    assert git(there, "diff", "--name-only", "main", made).splitlines() == [CONFIG, "new/file"]
    assert git(there, "fsck", "--no-dangling") == ""


def test_reading_gives_the_bytes_of_the_commit_whatever_git_does_to_files(there: Path) -> None:
    (there / ".gitattributes").write_text("*.yaml text eol=crlf\nconfig/secret filter=none-such\n")
    (there / "config/crlf.yaml").write_bytes(b"a\r\nb\n")
    git(there, "config", "core.autocrlf", "true")
    git(there, "-c", "core.safecrlf=false", "add", "-A")
    git(there, "commit", "-q", "-m", "more")
    contents, names = clones.look(str(there), ["config/crlf.yaml", "missing"])
    blob = subprocess.run(
        ["git", "-C", str(there), "cat-file", "blob", "HEAD:config/crlf.yaml"],
        capture_output=True,
        check=True,
    )
    assert contents == {"config/crlf.yaml": blob.stdout}
    assert {CONFIG, ".gitattributes"} < names


def merge_conflict(path: Path) -> None:
    git(path, "switch", "-q", "-c", "side")
    (path / CONFIG).write_text("side: 1\n")
    git(path, "commit", "-q", "-am", "side")
    git(path, "switch", "-q", "main")
    (path / CONFIG).write_text("main: 1\n")
    git(path, "commit", "-q", "-am", "main")
    subprocess.run(["git", "-C", str(path), "merge", "-q", "side"], capture_output=True, check=False)


def unfinished(path: Path) -> None:
    merge_conflict(path)
    (path / CONFIG).write_text("both: 1\n")
    git(path, "add", "-A")


def nameless(path: Path) -> None:
    git(path, "config", "--unset", "user.name")
    git(path, "config", "--unset", "user.email")


STATES: dict[str, tuple[Callable[[Path], object], str]] = {
    "changed": (lambda path: (path / CONFIG).write_text("mine: 1\n"), f"has local changes in {CONFIG}"),
    "staged": (lambda path: ((path / "x").write_text("x"), git(path, "add", "x")), "has local changes in x"),
    "deleted": (lambda path: (path / CONFIG).unlink(), f"has local changes in {CONFIG}"),
    "detached": (lambda path: git(path, "switch", "-q", "--detach"), "has a detached head"),
    "conflicts": (merge_conflict, f"has conflicts in {CONFIG}"),
    "unfinished merge": (unfinished, "has an unfinished merge"),
    "nameless": (nameless, "has no name and address to commit as"),
}


@pytest.mark.parametrize("name", STATES)
def test_a_checkout_that_cannot_take_a_change_is_a_named_error(
    there: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
    for variable in (
        "GIT_AUTHOR_NAME",
        "GIT_AUTHOR_EMAIL",
        "GIT_COMMITTER_NAME",
        "GIT_COMMITTER_EMAIL",
        "EMAIL",
    ):
        monkeypatch.delenv(variable, raising=False)
    spoil, says = STATES[name]
    spoil(there)
    with (
        clones.opened(str(there)) as checkout,
        pytest.raises(DeployRepoError, match="nothing was written") as caught,
    ):
        checkout.start()
    assert says in caught.value.message
    assert caught.value.remedy
    assert git(there, "for-each-ref", "refs/heads/binderbox") == ""


def test_untracked_files_do_no_harm(there: Path) -> None:
    (there / "notes.txt").write_text("mine")
    with clones.opened(str(there)) as checkout:
        assert checkout.start()[0] == "main"


def test_a_branch_of_that_name_with_something_else_is_refused(there: Path) -> None:
    git(there, "branch", "binderbox/x")
    with clones.opened(str(there)) as checkout:
        _, commit = checkout.start()
        with pytest.raises(
            DeployRepoError, match="has a branch binderbox/x already, with something else"
        ) as caught:
            checkout.write(commit, "binderbox/x", CHANGE, "T")
    assert "branch -D binderbox/x" in caught.value.remedy
    assert git(there, "rev-parse", "binderbox/x") == commit


def test_a_branch_that_cannot_be_is_refused(there: Path) -> None:
    git(there, "branch", "binderbox")  # a file where a directory is needed
    with clones.opened(str(there)) as checkout:
        _, commit = checkout.start()
        with pytest.raises(DeployRepoError, match="and git makes none below it") as caught:
            checkout.write(commit, "binderbox/x", CHANGE, "T")
    assert "branch -m binderbox binderbox-old" in caught.value.remedy


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda path: None, "is no directory"),
        (lambda path: path.mkdir(), "is no git checkout"),
        (lambda path: path.write_text("x"), "is no directory"),
        (lambda path: (path.mkdir(), git(path, "init", "-q", "--bare")), "is no git checkout"),
    ],
)
def test_what_is_no_checkout_is_named(tmp_path: Path, make: Callable[[Path], object], says: str) -> None:
    make(tmp_path / "x")
    with pytest.raises(DeployRepoError, match=says), clones.opened(str(tmp_path / "x")):
        pass


def test_a_repository_without_a_commit(tmp_path: Path) -> None:
    (tmp_path / "x").mkdir()
    git(tmp_path / "x", "init", "-q")
    with (
        clones.opened(str(tmp_path / "x")) as checkout,
        pytest.raises(DeployRepoError, match="without a commit"),
    ):
        checkout.head()


def test_an_address_is_cloned_to_where_it_is_wanted(there: Path, tmp_path: Path) -> None:
    url, target = f"file://{there}", tmp_path / "clone"
    with clones.opened(url, target) as checkout:
        assert not target.exists()
        git(checkout.path, "config", "user.name", "Somebody")
        git(checkout.path, "config", "user.email", "somebody@example.org")
        _, commit = checkout.start()
        checkout.write(commit, "binderbox/x", CHANGE, "T")
    assert git(target, "rev-parse", "HEAD") == commit
    assert git(target, "rev-list", "--count", "binderbox/x") == "2"
    with clones.opened(url, target) as checkout:  # the second time it is there
        assert checkout.path == target
    with (
        pytest.raises(DeployRepoError, match="is there already and no clone of"),
        clones.opened(f"{url}x", target),
    ):
        pass
    assert sorted(path.name for path in tmp_path.iterdir()) == ["clone", "deploy"]


def test_a_clone_that_was_for_nothing_is_taken_away(there: Path, tmp_path: Path) -> None:
    with pytest.raises(DeployRepoError, match="no"), clones.opened(f"file://{there}", tmp_path / "clone"):
        raise DeployRepoError("no")
    with clones.opened(f"file://{there}", tmp_path / "clone"):
        pass  # nothing was written
    with (
        pytest.raises(DeployRepoError, match="cannot be cloned"),
        clones.opened("file:///none/such", tmp_path / "c"),
    ):
        pass
    with (
        pytest.raises(DeployRepoError, match="is no directory"),
        clones.opened("ext::sh -c true", tmp_path / "c"),
    ):
        pass
    assert [path.name for path in tmp_path.iterdir()] == ["deploy"]
    assert clones.look(f"file://{there}", [CONFIG])[0].keys() == {CONFIG}


KILLED = """
import sys
from binderbox.world.git import clones, repository
run, calls = repository.run, 0
def slow(args, **more):
    global calls
    calls += 1
    if calls == int(sys.argv[2]):
        print("now", flush=True)
        import time; time.sleep(60)
    return run(args, **more)
repository.run = slow
with clones.opened(sys.argv[1]) as checkout:
    _, commit = checkout.start()
    checkout.write(commit, "binderbox/x", {"config/prod.yaml": b"changed: 1"}, "T")
print("done", flush=True)
"""


def test_killed_before_any_of_its_steps_it_leaves_nothing(there: Path) -> None:
    before = state(there)
    for step in range(1, 30):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(there), str(step)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        said = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=10)
        assert state(there) == before
        if said == "done":
            break
        assert git(there, "for-each-ref", "refs/heads/binderbox") == ""
        assert list((there / ".git").glob("*.lock")) == []
    assert step > 8
    assert git(there, "diff", "--name-only", "main", "binderbox/x") == CONFIG


def test_git_variables_of_the_caller_do_not_lead_astray(
    there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = make_checkout(tmp_path / "other")
    monkeypatch.setenv("GIT_DIR", str(other / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "index"))
    with clones.opened(str(there)) as checkout:
        assert checkout.path == there


def test_git_that_hangs_or_is_not_there(there: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/git").write_text("#!/bin/sh\nexec sleep 20\n")
    (tmp_path / "bin/git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:/usr/bin:/bin")
    started = time.monotonic()
    with pytest.raises(DeployRepoError, match="did not end within"):
        world.run(["status"], timeout_s=0.3)
    assert time.monotonic() - started < 10
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(DeployRepoError, match="git is not installed"), clones.opened(str(there)):
        pass
