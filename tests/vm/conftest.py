"""Machines for the stages: a bare one, or one from the disk that an earlier stage has saved."""

from __future__ import annotations

import hashlib
import os
import subprocess
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import pytest

from binderbox.errors import StepFailed
from tests.places import ROOT
from tests.rig.accel import NoQemu
from tests.rig.cache import cache_home
from tests.rig.client import Client, Finished, install_arguments, render_member
from tests.rig.given import GivenHost, given_host
from tests.rig.vm import VmHost

COMMAND_S = 2 * 3600.0  # seconds in an emulated machine prove nothing
PATIENCE = "6"  # what the product's own waits are multiplied with, see binderbox/layout.py

FAILED = pytest.StashKey[bool]()
Machine = VmHost | GivenHost


def stage_disk(name: str) -> Path:
    return cache_home() / "vm-stages" / name


def product() -> str:
    """Which binderbox this is: its files, by content."""
    whole = hashlib.sha256()
    for path in sorted((ROOT / "binderbox").rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            whole.update(str(path.relative_to(ROOT)).encode() + path.read_bytes())
    return whole.hexdigest()


@pytest.fixture
def machine(request: pytest.FixtureRequest) -> Iterator[Callable[[str | None], Machine]]:
    """`machine("installed")` boots from that stage's disk, `machine(None)` a bare disk; of a failure its log is kept."""
    if given := given_host():
        yield lambda saved: given
        return
    started: list[VmHost] = []

    def start(saved: str | None) -> VmHost:
        disk = stage_disk(saved) if saved else None
        if disk and not (disk / "disk.qcow2").exists():
            pytest.fail(f"no disk of the stage that ends `{saved}` is there: make test-vm STAGE=install")
        try:
            started.append(VmHost.start(request.node.name.replace("_", "-")[5:], run_id="stage", saved=disk))
        except NoQemu as missing:
            pytest.fail(str(missing))
        return started[-1]

    yield start
    for host in started:
        if request.node.stash.get(FAILED, False):
            keep_log(host)
        host.stop()


def keep_log(host: VmHost) -> None:
    """What the machine wrote, beside the stages' disks."""
    kept = stage_disk(f"failed-{host.name}.log")
    kept.parent.mkdir(parents=True, exist_ok=True)
    try:
        said = host.exec(["journalctl", "--no-pager", "-n", "20000"], timeout_s=600)
    except (StepFailed, subprocess.TimeoutExpired) as error:
        said = f"{error}\n{host.console(200)}"
    kept.write_text(said)
    print(f"    its log: {kept}", flush=True)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
    return report


class Slow(Client):
    """Whoever works on a machine that may be ten times slower than any that is sold."""

    def binderbox(self, host: Machine, command: str, *args: str, timeout_s: float = COMMAND_S) -> Finished:  # type: ignore[override]
        started = time.monotonic()
        done = super().binderbox(host, command, *args, timeout_s=timeout_s)  # type: ignore[arg-type]
        print(
            f"    {command} {done.code} {time.monotonic() - started:.0f} s load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        return done

    def install(self, host: Machine, *args: str, **member: object) -> Finished:  # type: ignore[override]
        config = self.home / f"{host.alias}.yaml"
        config.write_text(render_member(member), encoding="utf-8")
        return self.binderbox(host, "install", *install_arguments(config), *args)

    def environment(self, host: Machine) -> dict[str, str]:  # type: ignore[override]
        return super().environment(host) | {"BINDERBOX_PATIENCE": PATIENCE}  # type: ignore[arg-type]


@pytest.fixture
def slow(tmp_path: Path) -> Slow:
    (tmp_path / "client").mkdir()
    return Slow(tmp_path / "client")
