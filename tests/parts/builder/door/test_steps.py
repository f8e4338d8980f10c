"""Steps of builds as containerd keeps them: whose each is, what it has written, and its end."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from binderbox.parts.builder.door import steps
from binderbox.parts.builder.door.command import build_command
from binderbox.parts.builder.door.pods import Permit
from binderbox.parts.builder.door.request import BuildRequest
from binderbox.parts.builder.door.steps import Step, Steps, mark
from tests.waiting import wait_until

from .conftest import PLACE, TAG, make_config

KEY, OTHER = "a" * 32, "b" * 32


def bundle(
    tasks: Path,
    id: str,
    *env: str,
    path: str = "binderbox-builds.slice:bbx-containerd:",
    age_s: float = 60,
    mounts: Mapping[Path, str] = {},
    network: str = "",
) -> Path:
    """A task's directory, as containerd's shim has it; `mounts` are sources of binds, and rw or ro."""
    made = tasks / id
    (made / "rootfs").mkdir(parents=True)
    spec: dict[str, Any] = {"process": {"env": list(env)}, "linux": {"cgroupsPath": f"{path}{id}"}}
    if network:
        path = f"/var/lib/binderbox/buildkit/net/cni/{network}"
        spec["linux"]["namespaces"] = [{"type": "pid"}, {"type": "network", "path": path}]
    spec["mounts"] = [{"type": "tmpfs", "source": "tmpfs", "destination": "/t", "options": ["rw"]}] + [
        {"type": "bind", "source": str(source), "destination": f"/{source.name}", "options": [how, "rbind"]}
        for source, how in mounts.items()
    ]
    (made / "config.json").write_text(json.dumps(spec))
    then = time.time() - age_s
    os.utime(made / "config.json", (then, then))
    return made


def of(key: str) -> str:
    return f"no_proxy=10.0.0.0/8,{mark(key)}"


def test_a_step_is_of_the_build_that_buildkit_started_it_for(tmp_path: Path) -> None:
    bundle(tmp_path, "one", "PATH=/bin", of(KEY))
    bundle(tmp_path, "lying", f"X={mark(OTHER)}", of(OTHER), of(KEY))
    bundle(tmp_path, "by-hand", "PATH=/bin")
    bundle(tmp_path, "a-pods", of(KEY), path="kubepods-besteffort-podx.slice:cri-containerd:")
    (tmp_path / "torn").mkdir()
    (tmp_path / "torn/config.json").write_text('{"process": ')
    found = {one.id: one.key for one in steps.running(tmp_path)}
    assert found == {"one": KEY, "lying": KEY, "by-hand": ""}


def test_what_ran_before_buildkit_or_containerd_was_started_has_no_owner(tmp_path: Path) -> None:
    """And while something is built, what began later may be another build's: BuildKit runs what is the same once."""
    bundle(tmp_path, "before", of(OTHER), age_s=100)
    bundle(tmp_path, "its-own-before", of(KEY), age_s=100)
    bundle(tmp_path, "after", of(OTHER), age_s=40)
    bundle(tmp_path, "just-begun", of("c" * 32), age_s=0)
    bundle(tmp_path, "by-hand", age_s=100)
    found, since = Steps(tmp_path, (), (), lambda words: ""), time.time() - 60
    assert {one.id for one in found.unowned({KEY}, since, 10)} == {"before", "its-own-before"}
    assert {one.id for one in found.unowned(set(), since, 10)} == {"before", "its-own-before", "after"}


def test_a_restart_is_the_youngest_sockets(tmp_path: Path) -> None:
    for name, age_s in (("one", 50.0), ("two", 20.0)):
        (tmp_path / name).touch()
        then = time.time() - age_s
        os.utime(tmp_path / name, (then, then))
    found = steps.restarted([str(tmp_path / name) for name in ("one", "two", "none")])
    assert 15 < time.time() - found < 25
    assert steps.restarted([]) == 0


def test_its_processes_are_killed_before_its_task_and_container_go(tmp_path: Path) -> None:
    left, ran = bundle(tmp_path, "left", of(KEY)), []

    def run(words: Sequence[str]) -> str:
        ran.append(" ".join(words))
        if "containers delete left" in ran[-1]:
            shutil.rmtree(left)
        return ""

    assert Steps(tmp_path, (), ("k3s", "ctr"), run).end(Step("left", KEY, 0))
    assert ran == [
        "systemctl kill --signal=KILL bbx-containerd-left.scope",
        "k3s ctr tasks delete --force left",
        "k3s ctr containers delete left",
    ]


def test_one_that_containerd_has_forgotten_ends_with_its_shim(tmp_path: Path) -> None:
    """After a restart containerd takes away the bundle of a task that it cannot take up, and leaves what runs."""
    tasks, slice_ = tmp_path / "tasks", tmp_path / "slice"
    bundle(tasks, "known", age_s=100)
    for id in ("known", "left", "just-begun"):
        (slice_ / f"bbx-containerd-{id}.scope").mkdir(parents=True)
        if id != "just-begun":
            os.utime(slice_ / f"bbx-containerd-{id}.scope", (0, time.time() - 99))
    ran = []

    def run(words: Sequence[str]) -> None:
        ran.append(words[-1])
        if (slice_ / "bbx-containerd-left.scope").exists():
            (slice_ / "bbx-containerd-left.scope").rmdir()

    words = ["/bin/containerd-shim-runc-v2", "-c", "import time; time.sleep(99)", "-id", "left"]
    with subprocess.Popen(words, executable=sys.executable) as shim:
        kept = Steps(tasks, (slice_, tmp_path / "none"), ("ctr",), run)
        wait_until(lambda: steps.shims_of("left"), 10, "the shim")
        (found,) = kept.unowned({KEY}, 0, 10)
        assert found.id == "left"
        assert kept.end(found)
        assert shim.wait(10) == -signal.SIGKILL
    assert ran == ["bbx-containerd-left.scope", "left", "left"]


def test_one_that_cannot_be_ended_is_said_to_be_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bundle(tmp_path, "stays", of(KEY))
    monkeypatch.setattr(steps, "GONE_WITHIN_S", 0.0)

    def missing(words: Sequence[str]) -> str:
        raise FileNotFoundError(words[0])

    assert not Steps(tmp_path, (), ("ctr",), missing).end(Step("stays", KEY, 0))


def test_every_build_marks_its_steps_beside_the_sites_proxy(tmp_path: Path) -> None:
    from dataclasses import replace

    permit, request = (
        Permit("pod", "uid", "https://example.org/demo", TAG),
        BuildRequest("Dockerfile", (), ()),
    )
    plain = build_command(make_config(tmp_path), permit, request, PLACE, mark(KEY))
    assert f"--opt=build-arg:no_proxy={mark(KEY)}" in plain
    told = replace(make_config(tmp_path), step_proxy=("http_proxy=http://p:3128", "no_proxy=.example.edu"))
    site = build_command(told, permit, request, PLACE, mark(KEY))
    assert f"--opt=build-arg:no_proxy=.example.edu,{mark(KEY)}" in site
    assert "--opt=build-arg:http_proxy=http://p:3128" in site


def test_one_that_was_left_frozen_is_thawed_so_that_it_dies(tmp_path: Path) -> None:
    """Seen on a node of cgroup v1 whose k3s was killed while runc began a step."""
    bundle(tmp_path, "cold", of(KEY))
    states = {
        name: tmp_path / "freezer" / f"{steps.PREFIX}-{name}.scope" / "freezer.state"
        for name in ("cold", "warm")
    }
    for state in states.values():
        state.parent.mkdir(parents=True)
        state.write_text("FROZEN\n")
    Steps(tmp_path, (), ("ctr",), lambda words: "", tmp_path / "freezer").kill(KEY)
    assert {name: state.read_text().strip() for name, state in states.items()} == {
        "cold": "THAWED",
        "warm": "FROZEN",
    }
