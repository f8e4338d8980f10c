"""The agent and a client hold the same lock: each keeps the other out, and says who it is."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from binderbox.parts.agent.jobs import running
from binderbox.parts.agent.jobs.locking import Busy, hold


def test_it_is_held_told_and_given_back(tmp_path: Path) -> None:
    with hold("the follower", 0, str(tmp_path)) as tell:
        tell("proving")
        told = json.loads((tmp_path / "lock.json").read_text())
        assert (told["holder"], told["step"]) == ("the follower", "proving")
        assert (tmp_path / "lock.beat").exists()
        with (tmp_path / "lock").open() as other, pytest.raises(BlockingIOError):
            fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["lock", "sessions"]
    with (tmp_path / "lock").open() as other:
        fcntl.flock(other, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize("held", ["lock", "sessions"])
def test_a_client_keeps_it_out(tmp_path: Path, held: str) -> None:
    (tmp_path / "lock.json").write_text('{"holder": "somebody@laptop", "step": "Start k3s"}')
    with (tmp_path / held).open("w") as other:
        fcntl.flock(other, fcntl.LOCK_SH)
        with (
            pytest.raises(Busy, match="somebody@laptop is working on the node, at: Start k3s"),
            hold("me", 0, str(tmp_path)),
        ):
            pass


def test_what_it_starts_holds_the_lock_on(tmp_path: Path) -> None:
    with hold("me", 0, str(tmp_path)):
        child = subprocess.Popen(["sleep", "60"], pass_fds=tuple(running.held))
    try:
        with pytest.raises(Busy), hold("me", 0, str(tmp_path)):
            pass
    finally:
        child.kill()
        child.wait()
    assert running.held == []


def test_a_descriptor_is_not_lost(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        with hold("me", 0, str(tmp_path)):
            pass
    assert len(os.listdir("/proc/self/fd")) == before
