"""The real repo2docker, with the engine where a build pod sees it, against a real door (tests/door/conftest.py)."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from binderbox import layout
from binderbox.deploys.builder import engine_tree
from tests.parts.builder.door.conftest import TAG, RunningDoor, start, state

__all__ = ["start", "state"]  # fixtures


@pytest.fixture
def mount(tmp_path: Path) -> Path:
    """The directory that a build pod has on its PYTHONPATH."""
    root = tmp_path / "mount"
    for path, text in engine_tree().items():
        target = root / Path(path).relative_to(layout.ENGINE)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return root


def _repo2docker(
    mount: Path, door: str, repository: Path, *words: str, program: Sequence[str] = ("-m", "repo2docker")
) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, *program, f"--image={TAG}", "--no-clean", "--no-run", "--json-logs"]
    command += [
        "--user-name=jovyan",
        "--user-id=1000",
        "--push",
        "--engine=binderbox",
        *words,
        str(repository),
    ]
    env = {**os.environ, "PYTHONPATH": str(mount), "BINDERBOX_DOOR": door}
    return subprocess.run(command, env=env, capture_output=True, text=True, timeout=60, check=False)


def _peak_mb(mount: Path, door: str, repository: Path) -> float:
    """Of one build's repo2docker: the most memory that was its own."""
    program = (
        "import atexit, re, pathlib\n"
        "from repo2docker.__main__ import main\n"
        "atexit.register(lambda: print(re.search('VmHWM:\\\\s+(\\\\d+)', pathlib.Path('/proc/self/status').read_text())[1]))\n"
        "main()"
    )
    done = _repo2docker(mount, door, repository, program=["-c", program])
    assert done.returncode == 0, done.stderr
    return int(done.stdout.split()[-1]) / 1000


def _said(done: subprocess.CompletedProcess[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for line in done.stderr.splitlines()]


def test_a_dockerfile_repository_is_built(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path
) -> None:
    door = start()
    repository = tmp_path / "repository"
    (repository / "binder").mkdir(parents=True)
    (repository / "binder/Dockerfile").write_text("say Step 1\nshow data.txt\n")
    (repository / "data.txt").write_text("from the repository")
    done = _repo2docker(mount, door.config.socket, repository)
    assert done.returncode == 0, done.stderr
    messages = [line["message"] for line in _said(done) if line.get("phase") == "building"]
    assert messages[-2:] == ["Step 1\n", "from the repository\n"]
    assert [pending.tag for pending in door.door._pusher.spool.all()] == [TAG]


def test_other_build_packs_are_built(start: Callable[..., RunningDoor], mount: Path, tmp_path: Path) -> None:
    """Their context is a tar in memory; the stand-in for buildctl knows none of a real Dockerfile's words."""
    door = start()
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "requirements.txt").write_text("numpy\n")
    done = _repo2docker(mount, door.config.socket, repository)
    assert done.returncode == 0, done.stderr
    assert [pending.tag for pending in door.door._pusher.spool.all()] == [TAG]


def test_a_failed_build_tells_why_and_the_pod_lingers_for_its_log_to_be_read(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path
) -> None:
    """BinderHub misses the log of a pod that is gone within about 2 s (docs/operations.md, trap 2)."""
    door = start()
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/Dockerfile").write_text("say error: failed to solve: no such package\nfail 3\n")
    started = time.monotonic()
    done = _repo2docker(mount, door.config.socket, tmp_path / "repository")
    assert done.returncode != 0
    last = _said(done)[-1]
    assert last["phase"] == "failed"
    assert last["message"] == "Error during build: The build failed: no such package"
    assert time.monotonic() - started > 4


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({"runtime.txt": b"r-4.1-20\xff\n"}, "runtime.txt is no UTF-8 text"),
        ({"Project.toml": b"julia = \xe9"}, "Project.toml is no UTF-8 text"),
        ({"binder/apt.txt": b"caf\xe9\n", "binder/requirements.txt": b""}, "binder/apt.txt is no UTF-8 text"),
        ({"runtime.txt": b"python-abc\n", "requirements.txt": b""}, "Invalid version: 'abc'"),
        ({"environment.yml": b"dependencies: [python\n"}, "environment.yml"),
        ({"README.md": b"nothing to build"}, "No environment specification found"),
    ],
)
def test_a_repository_that_ends_before_the_build_shows_why_and_lingers_too(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path, files: dict[str, bytes], reason: str
) -> None:
    door = start()
    for name, data in files.items():
        place = tmp_path / "repository" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    began = time.monotonic()
    done = _repo2docker(
        mount, door.config.socket, tmp_path / "repository", "--Repo2Docker.default_buildpack=None"
    )
    assert done.returncode != 0
    assert [line for line in _said(done) if reason in line["message"]], done.stderr
    assert time.monotonic() - began > 4


def test_a_build_that_succeeds_ends_at_once(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    door = start()
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/Dockerfile").write_text("say done")
    plugin = mount / "binderbox_engine/plugin.py"
    plugin.write_text(plugin.read_text().replace("LINGER_S = 4.0", "LINGER_S = 50.0"))
    began = time.monotonic()
    done = _repo2docker(mount, door.config.socket, tmp_path / "repository")
    assert done.returncode == 0, done.stderr
    assert time.monotonic() - began < 50


def test_a_context_of_400_mb_costs_the_pod_no_memory(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path
) -> None:
    """repo2docker by itself holds 432 MB for 400."""
    door = start(max_context_mb=500)
    repository = tmp_path / "repository"
    (repository / "deep").mkdir(parents=True)
    (repository / "requirements.txt").write_text("numpy\n")
    with (repository / "deep/data").open("wb") as data:
        data.truncate(400 << 20)
    small = tmp_path / "small"
    small.mkdir()
    (small / "requirements.txt").write_text("numpy\n")
    peaks_mb = [_peak_mb(mount, door.config.socket, one) for one in (small, repository)]
    assert peaks_mb[1] < peaks_mb[0] + 50


def test_a_refusal_reaches_the_user(start: Callable[..., RunningDoor], mount: Path, tmp_path: Path) -> None:
    door = start()
    door.pods.clear()
    (tmp_path / "repository").mkdir()
    (tmp_path / "repository/Dockerfile").write_text("say no")
    done = _repo2docker(mount, door.config.socket, tmp_path / "repository")
    assert "The build door refused" in _said(done)[-1]["message"]


def test_without_the_internet_repositories_come_by_git_alone(
    start: Callable[..., RunningDoor], mount: Path, tmp_path: Path
) -> None:
    """repo2docker asks a Dataverse list on the Internet before git, for every URL (docs/operations.md, trap 1)."""
    door = start()
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "Dockerfile").write_text("say cloned")
    git = ["git", "-c", "user.name=t", "-c", "user.email=t@example.org", "-C", str(repository)]
    for words in (["init", "-q", "-b", "main"], ["add", "."], ["commit", "-q", "-m", "one"]):
        subprocess.run([*git, *words], check=True)
    url = f"file://{repository}"
    config = mount / "binderbox_engine/git_only_config.py"
    unreachable = {"HTTPS_PROXY": "http://127.0.0.1:9", "https_proxy": "http://127.0.0.1:9"}
    command = [
        sys.executable,
        "-m",
        "repo2docker",
        f"--config={config}",
        f"--image={TAG}",
        "--no-run",
        "--push",
    ]
    done = subprocess.run(
        [*command, "--json-logs", "--user-name=jovyan", "--user-id=1000", "--engine=binderbox", url],
        env={**os.environ, **unreachable, "PYTHONPATH": str(mount), "BINDERBOX_DOOR": door.config.socket},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Picked Git content provider.\n" in [line["message"] for line in _said(done)]
