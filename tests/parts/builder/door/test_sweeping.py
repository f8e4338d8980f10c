"""What builds leave behind is taken away: once for each start of BuildKit, and when nobody builds."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from binderbox.parts.builder.door.building import Left, Running
from binderbox.parts.builder.door.steps import Steps
from binderbox.parts.builder.door.sweeping import HALF_MADE, IDLE_S, LET_GO_S, Sweep

from .conftest import make_config
from .test_steps import KEY

KILL = ["systemctl", "kill", "--signal=KILL", "--kill-whom=main", "buildkitd.service"]


@dataclass
class Builds:
    running: dict[str, Running] = field(default_factory=dict)
    left: dict[str, Left] = field(default_factory=dict)


@dataclass
class Node:
    home: Path
    builds: Builds = field(default_factory=Builds)
    commands: list[list[str]] = field(default_factory=list)
    well: bool = True
    containers: dict[str, float] = field(default_factory=dict)

    @property
    def sweep(self) -> Sweep:
        config = replace(
            make_config(self.home),
            buildkit_address=f"unix://{self.home}/buildkitd.sock",
            containerd_socket=f"{self.home}/containerd.sock",
        )
        return Sweep(
            config,
            cast(Any, self.builds),
            Steps(self.home, (), ("ctr",), self.run),
            self.run,
            lambda: self.containers,
        )

    def run(self, words: Sequence[str]) -> bool:
        self.commands.append(list(words))
        return self.well

    def start(self, what: str = "buildkitd") -> None:
        (self.home / f"{what}.sock").unlink(missing_ok=True)
        (self.home / f"{what}.sock").touch()


def test_half_made_layers_are_pruned_once_for_each_start_of_buildkit(tmp_path: Path) -> None:
    node = Node(tmp_path)
    sweep = node.sweep
    sweep.once()
    assert node.commands == [], "it has not been started"
    node.start()
    node.well = False
    sweep.once()
    node.well = True
    sweep.once()
    sweep.once()
    assert [words[-3:] for words in node.commands] == [["prune", "--all", f"--filter={HALF_MADE}"]] * 2
    time.sleep(0.02)
    node.start()
    sweep.once()
    assert len(node.commands) == 3


def test_and_after_a_build_that_was_broken_off(tmp_path: Path) -> None:
    """A download's part stays a cache of BuildKit's, however large."""
    node = Node(tmp_path, Builds(running={"b" * 32: Running(1.0)}))
    node.start()
    sweep, now = node.sweep, time.time()
    sweep.once()
    node.builds.left = {KEY: Left(now, (now - 9,))}
    sweep.once()
    assert len(node.commands) == 1, "BuildKit has not let go of it"
    node.builds.left = {KEY: Left(now - LET_GO_S - 1, (now - 9,))}
    sweep.once()
    sweep.once()
    assert len(node.commands) == 2


def test_buildkit_is_started_anew_for_builds_that_ended_without_it_when_nobody_builds(tmp_path: Path) -> None:
    node, now = Node(tmp_path), time.time()
    sweep = node.sweep
    node.builds.left = {KEY: Left(now - IDLE_S / 2, (now - 99,))}
    sweep.once()
    assert KILL not in node.commands, "one may just come"
    node.builds.left = {KEY: Left(now - IDLE_S - 1, (now - 99,))}
    node.builds.running = {"b" * 32: Running(1.0)}
    sweep.once()
    assert KILL not in node.commands
    node.builds.running = {}
    sweep.once()
    assert node.commands[-1] == KILL
    node.start()
    sweep.once()
    assert node.commands.count(KILL) == 1, "it knows nothing of them any more"


def test_buildkit_is_started_anew_after_the_containerd_below_it(tmp_path: Path) -> None:
    """It waits for tasks that the new one may have forgotten, and is told nothing."""
    node = Node(tmp_path)
    sweep = node.sweep
    node.start("containerd")
    sweep.once()
    time.sleep(0.02)
    node.start()
    sweep.once()
    assert KILL not in node.commands
    time.sleep(0.02)
    node.start("containerd")
    sweep.once()
    assert node.commands.count(KILL) == 1
    time.sleep(0.02)
    node.start()
    sweep.once()
    assert node.commands.count(KILL) == 1


def test_records_of_steps_that_ended_with_buildkit_go_once(tmp_path: Path) -> None:
    """Neither those of steps that still run, which end first, nor those that began since."""
    node = Node(
        tmp_path, containers={"dead": time.time() - 9, "runs": time.time() - 9, "fresh": time.time() + 9}
    )
    (tmp_path / "runs").mkdir()
    node.start()
    sweep = node.sweep
    sweep.once()
    sweep.once()
    assert [words for words in node.commands if words[0] == "ctr"] == [
        ["ctr", "containers", "delete", "dead"]
    ]
    (tmp_path / "runs").rmdir()
    time.sleep(0.02)
    node.start()
    sweep.once()
    assert ["ctr", "containers", "delete", "runs"] in node.commands


def test_a_record_that_cannot_be_taken_away_is_tried_again(tmp_path: Path) -> None:
    node = Node(tmp_path, containers={"dead": time.time() - 9}, well=False)
    node.start()
    sweep = node.sweep
    sweep.once()
    sweep.once()
    assert [words[-1] for words in node.commands if words[0] == "ctr"] == ["dead", "dead"]
