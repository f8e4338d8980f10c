"""What is told beside a written change: where it starts, what was not run, and the text of its pull request."""

from __future__ import annotations

import os
import shlex
import subprocess
from pathlib import Path

import pytest

from binderbox.errors import UsageError
from binderbox.federation.deployrepo.edits import make_newcomer
from binderbox.federation.deployrepo.words import checked_name, checked_words
from tests.cli.run import binderbox
from tests.commands.federation.test_change import There, there
from tests.federation.checkouts import git

__all__ = ["there"]


@pytest.fixture
def origin(there: There, tmp_path: Path) -> Path:
    """What the checkout was cloned from, as git would have it."""
    git(tmp_path, "clone", "-q", "--bare", str(there.path), "origin.git")
    git(there.path, "remote", "add", "origin", str(tmp_path / "origin.git"))
    git(there.path, "fetch", "-q", "origin")
    return tmp_path / "origin.git"


def empty_commit(path: Path, words: str) -> None:
    git(path, "commit", "-q", "--allow-empty", "-m", words)


def test_a_branch_with_work_of_ones_own_and_one_that_is_behind_are_told(there: There, origin: Path) -> None:
    assert there.told("weight", "second", "9", "--no-ask")["notes"][1:] == []
    git(there.path, "switch", "-q", "-c", "my-work")
    empty_commit(there.path, "mine")
    notes = there.told("weight", "second", "8", "--no-ask")["notes"]
    assert (
        "it starts from my-work, which has 1 commits that origin/main has not: they are pushed with it"
        in notes
    )
    git(there.path, "switch", "-q", "main")
    empty_commit(there.path, "theirs")
    git(there.path, "push", "-q", "origin", "main")
    git(there.path, "reset", "-q", "--hard", "HEAD^")
    notes = there.told("weight", "second", "7", "--no-ask")["notes"]
    assert "it starts from main, which is 1 commits behind origin/main: git -C deploy pull" in notes


def test_a_hook_that_did_not_run_is_told(there: There) -> None:
    hook = there.path / ".git/hooks/pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    notes = there.told("weight", "second", "9", "--no-ask")["notes"]
    assert any("the hook pre-commit was not run" in note for note in notes)


def test_who_signs_commits_gets_a_signed_one(there: There, tmp_path: Path) -> None:
    key = tmp_path / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(key)], check=True)
    for name, value in (("gpg.format", "ssh"), ("user.signingkey", str(key)), ("commit.gpgsign", "true")):
        git(there.path, "config", name, value)
    told = there.told("weight", "second", "9", "--no-ask")
    assert "-----BEGIN SSH SIGNATURE-----" in git(there.path, "cat-file", "commit", told["commit"])
    git(there.path, "config", "user.signingkey", str(tmp_path / "none"))
    done = there.run("weight", "second", "8", "--no-ask")
    assert (done.returncode, "BBX-111" in done.stderr) == (2, True)
    assert there.branches == ["binderbox/weight-second-9", "main"]


@pytest.mark.parametrize(
    "command", [("weight", "second", "9"), ("drain", "second"), ("leave", "second"), ("prime", "second")]
)
def test_the_text_of_the_pull_request_is_shown_and_written(
    there: There, tmp_path: Path, command: tuple[str, ...]
) -> None:
    done = there.run(*command, "--no-ask", "--body", "body.md")
    body = (tmp_path / "body.md").read_text()
    assert "The pull request" in done.stdout
    assert body.strip()
    assert body.splitlines()[0] in done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a directory away")
def test_gits_own_remedy_for_a_directory_of_somebody_else(there: There) -> None:
    os.chown(there.path, 12345, 12345)
    os.chown(there.path / ".git", 12345, 12345)
    done = there.run("weight", "second", "9", "--no-ask")
    assert f"git config --global --add safe.directory {there.path}" in done.stderr


def test_a_terminal_without_a_sign_ends_nothing(there: There, monkeypatch: pytest.MonkeyPatch) -> None:
    values = there.path / "mybinder/values.yaml"
    values.write_text(values.read_text().replace("for supporting us!", "for supporting us! \U0001f90d"))
    git(there.path, "commit", "-qam", "with a heart")
    monkeypatch.setenv("PYTHONIOENCODING", "ascii")
    args = ["--sponsor", "S", "--sponsor-url", "https://s.example.org", "--no-ask", "--deploy-repo", "deploy"]
    done = binderbox(
        there.path.parent, "federation", "join", "https://n.example.org", "--name", "new", "--contact", "a@example.org", *args
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["1e3", "12e4", "0o17", "0x1f", "1e-3", "0b1", "2024-01-01", "7"])
def test_names_that_yaml_reads_as_numbers_are_refused(name: str) -> None:
    with pytest.raises(UsageError, match="cannot be a member's name"):
        checked_name(name)


@pytest.mark.parametrize("name", ["2i2c", "e3", "1and1", "0xen"])
def test_names_that_only_look_like_it_pass(name: str) -> None:
    assert checked_name(name) == name


def test_what_people_paste_passes_and_what_does_not_is_named() -> None:
    for words in ("St. Mary\u2019s", "Lab \u2013 Unit", "The \u201cOld\u201d Hall"):
        assert checked_words("--run-by", words) == words
    with pytest.raises(UsageError) as refused:
        checked_words("--run-by", "a <b> | c")
    assert "not: < > |" in str(refused.value.cause)


def test_a_branch_in_the_way_of_ours_is_named(there: There) -> None:
    git(there.path, "branch", "binderbox")
    done = there.run("weight", "second", "9", "--no-ask")
    assert "git -C deploy branch -m binderbox binderbox-old" in done.stderr


def test_a_path_is_quoted_for_a_shell(there: There) -> None:
    odd = there.path.parent / "it's mine"
    there.path.rename(odd)
    done = binderbox(
        odd.parent, "federation", "weight", "second", "9", "--no-ask", "--deploy-repo", "it's mine"
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("next: ")]
    assert shlex.split(line)[3] == "it's mine"


def test_a_mail_address_is_a_contact() -> None:
    assert make_newcomer("new", "https://n.example.org", contact="me@example.org").contact == "me@example.org"
    with pytest.raises(UsageError, match="--contact"):
        make_newcomer("new", "https://n.example.org", contact="me at home")


def test_a_body_that_cannot_be_written_is_refused_before_anything_is(there: There) -> None:
    for body in ("nowhere/x.md", "deploy/config/prod.yaml"):
        done = there.run("weight", "second", "9", "--no-ask", "--body", body)
        assert (done.returncode, "nothing was written" in done.stderr) == (2, True)
    assert there.branches == ["main"]
    assert git(there.path, "status", "--porcelain") == ""


def test_the_federations_own_remote_is_the_one_to_compare_with(there: There, origin: Path) -> None:
    git(there.path, "remote", "add", "theirs", "https://github.com/jupyterhub/mybinder.org-deploy.git")
    ahead = git(there.path, "commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "newer")
    git(there.path, "update-ref", "refs/remotes/theirs/main", ahead)
    notes = there.told("weight", "second", "9", "--no-ask")["notes"]
    assert "it starts from main, which is 1 commits behind theirs/main: git -C deploy pull" in notes


def test_a_branch_with_nothing_to_compare_it_with_is_told(there: There) -> None:
    git(there.path, "switch", "-q", "-c", "feature")
    notes = there.told("weight", "second", "9", "--no-ask")["notes"]
    assert "it starts from feature, and no remote is known to compare it with" in notes


def test_words_of_another_encoding_are_named(there: There) -> None:
    done = there.run("weight", "second", "9", "--no-ask", "--why", "caf\udce9")
    assert (done.returncode, "no UTF-8" in done.stderr) == (2, True)


@pytest.mark.parametrize("text", ["z: &z {k: *z}\n", f"z: {'[' * 3000}{']' * 3000}\n"])
def test_a_file_that_holds_itself_is_a_named_fault(there: There, text: str) -> None:
    config = there.path / "config/prod.yaml"
    config.write_text(config.read_text() + text)
    git(there.path, "commit", "-qam", "odd")
    done = there.run("weight", "second", "9", "--no-ask")
    assert (done.returncode, "BBX-111" in done.stderr) == (2, True), done.stderr


def test_an_anchor_that_others_use_is_told_as_one(there: There) -> None:
    config = there.path / "config/prod.yaml"
    text = config.read_text().replace("      prime: false\n      url:", "      prime: &no false\n      url:")
    config.write_text(text + "other: *no\n")
    git(there.path, "commit", "-qam", "anchored")
    done = there.run("leave", "second", "--no-ask")
    assert "an anchor would go that other lines use" in done.stderr


def test_an_address_with_half_a_scheme_is_named(there: There) -> None:
    done = there.run("join", "https:binder.example.org", "--no-ask")
    assert "write it like https://binder.example.org" in done.stderr
