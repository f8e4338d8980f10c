"""How a build is ended that must end: its steps first, so that BuildKit has it fail and keeps nothing of it."""

from __future__ import annotations

import json
import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path

from binderbox.parts.builder.door.buildkit import END_WITHIN_S, Ended, run_build
from binderbox.parts.builder.door.steps import Steps
from binderbox.parts.builder.door.vertices import Vertices
from binderbox.parts.builder.door.workplace import Workplace

from .conftest import HERE
from .test_steps import KEY, OTHER, bundle, of


def ended(home: Path, dockerfile: str, kill_steps: Callable[[], bool]) -> tuple[Ended, str, float]:
    """(how, its log, seconds) of a build that must end as soon as it has said something."""
    place = Workplace(home / "context", home / "home", home / "metadata", home / "trace")
    place.context.mkdir()
    place.home.mkdir()
    (place.context / "Dockerfile").write_text(dockerfile)
    words = [
        sys.executable,
        str(HERE / "buildctl.py"),
        f"--local=context={place.context}",
        "--opt=filename=Dockerfile",
    ]
    words += [f"--metadata-file={place.metadata}", f"--trace={place.trace}"]
    log: list[bytes] = []
    pod, caller = socket.socketpair()
    began = time.monotonic()
    with pod, caller:
        how = run_build(
            words, place, Vertices(), pod, 60, 1, log.append, lambda: "it fills the disk" if log else "", kill_steps
        )  # fmt: skip
    return how, b"".join(log).decode(), time.monotonic() - began


def test_a_build_whose_steps_are_killed_ends_by_itself(tmp_path: Path) -> None:
    """The stubborn one would not end by a signal. What it still says is read, and nobody's."""
    killed = tmp_path / "killed"

    def kill_steps() -> bool:
        killed.touch()
        return True

    dockerfile = f"stubborn\nsay started\nwait-for {killed}\nflood 20000\nfail 1"
    how, log, took_s = ended(tmp_path, dockerfile, kill_steps)
    assert how == Ended("it fills the disk")
    assert log == "started\n"
    assert took_s < END_WITHIN_S / 2


def test_one_that_has_no_step_is_told_to_end(tmp_path: Path) -> None:
    how, _, took_s = ended(tmp_path, "say started\nsleep 60", lambda: False)
    assert how == Ended("it fills the disk")
    assert took_s < END_WITHIN_S / 2


def test_the_steps_of_one_build_alone_are_killed(tmp_path: Path) -> None:
    commands: list[list[str]] = []
    bundle(tmp_path, "mine", of(KEY))
    bundle(tmp_path, "theirs", of(OTHER))
    steps = Steps(tmp_path, (), (), lambda words: commands.append(list(words)))
    assert steps.kill(KEY)
    assert commands == [["systemctl", "kill", "--signal=KILL", "bbx-containerd-mine.scope"]]
    assert not steps.kill("c" * 32)
    assert json.loads((tmp_path / "theirs/config.json").read_text())
