"""headers.sh on a directory of its own: what it lays out for cryptnono's pods."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from binderbox.parts.guard import units

KERNEL = os.uname().release
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="a mount namespace of its own needs root")


class Machine:
    """A root whose /lib, /usr/src, /etc and /tmp are its own."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for place in ("lib/modules", "usr/src", "etc", "tmp", "run"):
            (root / place).mkdir(parents=True)

    def headers(self, distribution: str) -> None:
        """As their packages leave them: Debian's in two directories, Ubuntu's in one."""
        modules = self.root / "lib/modules" / KERNEL
        modules.mkdir()
        for name in ("build", "source") if distribution == "debian" else ("build",):
            target = f"/usr/src/linux-headers-{KERNEL}{'-common' if name == 'source' else ''}"
            (self.root / target[1:] / "include").mkdir(parents=True)
            (modules / name).symlink_to(target)

    def run(self, way: str) -> subprocess.CompletedProcess[str]:
        binds = " ".join(
            f"mount --bind {self.root}/{place} /{place};"
            for place in ("lib/modules", "usr/src", "etc")
            if (Path("/") / place).is_dir() or not (Path("/") / place).mkdir(parents=True)
        )
        script = self.root / "headers.sh"
        script.write_text(next(text for path, text in units.texts().items() if path.endswith(".sh")))
        environment = {"PATH": f"{self.root}/bin:/usr/bin:/bin:/usr/sbin:/sbin"}
        environment |= {"TREE": f"{self.root}/tmp/cryptnono", "SAID": f"{self.root}/run/binderbox/headers"}
        words = ["unshare", "--mount", "sh", "-c", f'{binds} exec sh "$@"', "sh", str(script), way]
        return subprocess.run(words, capture_output=True, text=True, env=environment, check=False)

    @property
    def laid_out(self) -> Path:
        return self.root / "tmp/cryptnono/linux-headers/modules_dir"

    @property
    def said(self) -> str:
        return (self.root / "run/binderbox/headers").read_text().strip()


@pytest.fixture
def machine(tmp_path: Path) -> Machine:
    return Machine(tmp_path)


@pytest.mark.parametrize("distribution", ["debian", "ubuntu"])
def test_what_is_there_is_laid_out_and_nothing_is_left_to_fetch(machine: Machine, distribution: str) -> None:
    machine.headers(distribution)
    for _ in range(2):
        done = machine.run("lay")
        assert (done.returncode, done.stderr) == (0, "")
        assert machine.said == KERNEL
        assert (machine.laid_out / ".installed").exists(), (
            "else the pod's init container fetches from kernel.org"
        )
        assert os.readlink(machine.laid_out / KERNEL / "build") == f"/usr/src/linux-headers-{KERNEL}"
        assert (machine.laid_out / KERNEL / "source").is_symlink() == (distribution == "debian")
        assert os.readlink(machine.laid_out.parent / "generated") == "/usr/src"
    assert (machine.root / "etc/lsb-release").read_text() == "", (
        "a hostPath that is not there becomes a directory"
    )


def test_none_are_said_and_nothing_is_fetched_then_either(machine: Machine) -> None:
    assert machine.run("lay").returncode == 0, "k3s starts all the same"
    assert machine.said == ""
    assert (machine.laid_out / ".installed").exists()


def test_a_package_that_cannot_be_had_fails(machine: Machine) -> None:
    (machine.root / "bin").mkdir()
    apt = machine.root / "bin/apt-get"
    apt.write_text(f'#!/bin/sh\necho "$@" >>{machine.root}/asked\ncase "$*" in *install*) exit 100;; esac\n')
    apt.chmod(0o755)
    assert machine.run("install").returncode == 100
    assert f"linux-headers-{KERNEL}" in (machine.root / "asked").read_text()


def test_a_package_that_can_be_had_is_laid_out(machine: Machine) -> None:
    (machine.root / "bin").mkdir()
    apt = machine.root / "bin/apt-get"
    place = f"/usr/src/linux-headers-{KERNEL}"
    apt.write_text(
        f'#!/bin/sh\ncase "$*" in *install*) mkdir -p {place}/include /lib/modules/{KERNEL};'
        f" ln -s {place} /lib/modules/{KERNEL}/build;; esac\n"
    )
    apt.chmod(0o755)
    assert machine.run("install").returncode == 0
    assert machine.said == KERNEL


def test_a_tree_that_somebody_else_made_before_is_not_used(machine: Machine) -> None:
    machine.headers("ubuntu")
    (machine.root / "tmp/cryptnono").symlink_to("/etc")
    assert machine.run("lay").returncode == 0
    assert not (machine.root / "tmp/cryptnono").is_symlink()
    assert machine.said == KERNEL
