"""The look at what an uninstall must take away, on a /var/lib of a test's own."""

from __future__ import annotations

import os
import shlex
import subprocess

import pytest

from binderbox import layout
from binderbox.world.host.leftovers import SCRIPT

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root has a mount namespace of its own")
FOLDERS = ("/var/lib/rancher", "/var/lib/kubelet", layout.DATA)


def found(before: str, mode: str = "purge") -> list[str]:
    """Files below /var/lib that are left after these commands."""
    look = shlex.join(["sh", "-c", SCRIPT.read_text(), "sh", mode, *layout.SCRIPT_SETTINGS])
    script = f"mount -t tmpfs tmpfs /var/lib && {before} && {look}"
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script], capture_output=True, text=True, check=True
    )
    rows = [line.split("\t", 1) for line in done.stdout.splitlines()]
    return [name for kind, name in rows if kind == "file" and name.startswith("/var/lib/")]


def test_empty_folders_that_an_install_made_are_left() -> None:
    assert sorted(found(f"mkdir -p {' '.join(FOLDERS)}")) == sorted(FOLDERS)


def test_what_is_in_them_goes_before_them() -> None:
    rows = found(f"mkdir -p {layout.K3S_DATA}/server {layout.DATA}/.hidden /var/lib/kubelet/pods")
    for folder in FOLDERS:
        (inside,) = [name for name in rows if name.startswith(f"{folder}/")]
        assert rows.index(inside) < rows.index(folder)


def test_a_folder_in_which_something_stays_stays() -> None:
    kept = next(path for path in layout.KEPT if path.startswith(f"{layout.DATA}/"))
    made = f"mkdir -p {kept} {layout.DATA}/door"
    assert found(made, "keep") == [f"{layout.DATA}/door"]
    assert found(made)[-1] == layout.DATA


def test_a_file_system_of_its_own_cannot_go() -> None:
    mounted = f"mkdir -p {layout.DATA} && mount -t tmpfs tmpfs {layout.DATA}"
    assert found(mounted) == []
