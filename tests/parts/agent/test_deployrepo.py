"""The history of the deployment repository, read from a real one by git."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderbox.parts.agent.jobs import deployrepo
from binderbox.parts.agent.jobs.running import CommandFailed
from tests.federation.deployment import Deployment


@pytest.fixture
def deployment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Deployment:
    monkeypatch.setattr(deployrepo, "DIRECTORY", str(tmp_path / "deploy.git"))
    made = Deployment("127.0.0.1", tmp_path / "upstream")
    made.begin_repository()
    return made


def git(deployment: Deployment, *words: str) -> None:
    name = ("-c", "user.name=The federation", "-c", "user.email=federation@example.org")
    subprocess.run(["git", *name, *words], cwd=deployment.work, check=True, capture_output=True)


def test_pins_are_walked_back_newest_first(deployment: Deployment) -> None:
    first = deployment.pins("1.0.1", "example/r:1")
    second = deployment.pins("1.0.2", "example/r:2")
    assert deployrepo.update(str(deployment.work), "main") == second
    assert [(one.commit, one.chart, one.build_image) for one in deployrepo.history()] == [
        (second, "1.0.2", "example/r:2"),
        (first, "1.0.1", "example/r:1"),
    ]


def test_commits_that_change_neither_file_are_passed_over(deployment: Deployment) -> None:
    pinned = deployment.pins("1.0.1", "example/r:1")
    (deployment.work / "README.md").write_text("more\n")
    git(deployment, "add", "-A")
    git(deployment, "commit", "-q", "-m", "Words")
    assert deployrepo.update(str(deployment.work), "main") != pinned
    assert [one.commit for one in deployrepo.history()] == [pinned]


def test_what_was_only_tried_on_a_branch_was_never_pinned(deployment: Deployment) -> None:
    deployment.pins("1.0.1", "example/r:1")
    git(deployment, "checkout", "-q", "-b", "try")
    deployment.pins("1.0.2", "example/r:2")
    deployment.pins("1.0.3", "example/r:3")
    git(deployment, "checkout", "-q", "main")
    git(deployment, "merge", "-q", "--no-ff", "-m", "Merge try", "try")
    deployrepo.update(str(deployment.work), "main")
    assert [one.chart for one in deployrepo.history()] == ["1.0.3", "1.0.1"]


def test_a_forced_push_is_followed(deployment: Deployment) -> None:
    deployment.pins("1.0.1", "example/r:1")
    deployment.pins("1.0.2", "example/r:2")
    deployrepo.update(str(deployment.work), "main")
    git(deployment, "reset", "-q", "--hard", "HEAD~1")
    deployment.pins("1.0.9", "example/r:9")
    deployrepo.update(str(deployment.work), "main")
    assert [one.chart for one in deployrepo.history()] == ["1.0.9", "1.0.1"]


def test_a_file_that_is_no_yaml_is_named_with_its_commit(deployment: Deployment) -> None:
    deployment.pins("1.0.1", "example/r:1")
    (deployment.work / "mybinder/values.yaml").write_text("a: [\n")
    git(deployment, "commit", "-q", "-a", "-m", "Oops")
    commit = deployrepo.update(str(deployment.work), "main")
    with pytest.raises(ValueError, match=rf"{commit[:8]} mybinder/values.yaml: no YAML"):
        list(deployrepo.history())


def test_a_repository_that_is_not_there_is_told(deployment: Deployment) -> None:
    with pytest.raises(CommandFailed, match="git"):
        deployrepo.update(str(deployment.work / "nowhere"), "main")


def test_another_branch(deployment: Deployment) -> None:
    deployment.pins("1.0.1", "example/r:1")
    with pytest.raises(CommandFailed):
        deployrepo.update(str(deployment.work), "staging")
