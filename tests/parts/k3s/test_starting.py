"""The scripts around k3s's start, run on a directory: what a power cut leaves is begun anew, and nothing else is touched."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from binderbox import layout
from binderbox.parts.k3s import files as k3s
from binderbox.parts.k3s import starting

PLACED = (
    "agent/images/a.tar",
    "agent/etc/kubelet.conf.d/50-binderbox.conf",
    "server/manifests/binderbox.yaml",
)
MADE = (
    "server/db/state.db",
    "server/tls/server-ca.key",
    "server/cred/admin.kubeconfig",
    "server/token",
    "agent/containerd/io.containerd.content.v1.content/blob",
    "agent/client-kubelet.crt",
    "agent/etc/containerd/config.toml",
    "data/0123/bin/k3s",
)


class Node:
    def __init__(self, root: Path) -> None:
        self.root, self.boot, self.run = root / "k3s", root / "boot_id", root / "run"
        for path in PLACED:
            self.write(path, "ours")
        self.reboot("first")

    def write(self, path: str, text: str = "made") -> None:
        (self.root / path).parent.mkdir(parents=True, exist_ok=True)
        (self.root / path).write_text(text)

    def reboot(self, boot: str) -> None:
        self.boot.write_text(f"{boot}\n")
        (self.run / "k3s-imported").unlink(missing_ok=True)

    def _sh(self, script: str) -> None:
        places = {
            "/proc/sys/kernel/random/boot_id": self.boot, layout.K3S_DATA: self.root,
            layout.RUN: self.run, "/etc/rancher": self.root.parent / "rancher",
        }  # fmt: skip
        for path, here in places.items():
            script = script.replace(path, str(here))
        subprocess.run(["sh", "-c", script], check=True)

    def begin(self) -> None:
        self._sh(starting.BEFORE)

    def end(self) -> None:
        self._sh(starting.AFTER)

    def there(self, *paths: str) -> set[str]:
        return {path for path in paths if (self.root / path).exists()}


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


def test_a_first_start_that_a_power_cut_ended_is_begun_anew(node: Node) -> None:
    node.begin()
    for path in MADE:
        node.write(path, "")  # as a power cut leaves what was not on the disk
    node.reboot("second")
    node.begin()
    assert node.there(*MADE) == set()
    assert node.there(*PLACED) == set(PLACED)


def test_a_first_start_that_is_tried_again_in_the_same_boot_goes_on(node: Node) -> None:
    """Pods of it may run: nothing of theirs is taken away."""
    node.begin()
    for path in MADE:
        node.write(path)
    node.begin()
    assert node.there(*MADE) == set(MADE)


def test_once_it_has_ended_well_nothing_is_ever_begun_anew(node: Node) -> None:
    node.begin()
    for path in MADE:
        node.write(path)
    node.end()
    for boot in ("second", "third"):
        node.reboot(boot)
        node.begin()
        assert node.there(*MADE) == set(MADE)


def test_a_node_of_an_earlier_release_keeps_everything(node: Node) -> None:
    for path in MADE:
        node.write(path)
    for boot in ("second", "third"):
        node.reboot(boot)
        node.begin()
        node.end()
        assert node.there(*MADE) == set(MADE)


def test_a_mark_that_the_power_cut_emptied_means_another_boot(node: Node) -> None:
    node.begin()
    node.write(MADE[0])
    (node.root / ".first-start").write_text("")
    node.begin()
    assert node.there(MADE[0]) == set()


def test_a_certificate_that_was_being_renewed_is_made_again(node: Node) -> None:
    for path in MADE:
        node.write(path)
    node.write("server/tls/client-admin.crt", "")
    node.write("agent/client-k3s-controller.key", "")
    node.write("server/tls/notes.txt", "")
    node.begin()
    assert node.there("server/tls/client-admin.crt", "agent/client-k3s-controller.key") == set()
    assert node.there(*MADE, "server/tls/notes.txt") == {*MADE, "server/tls/notes.txt"}


def test_a_start_imports_all_images_once_in_each_boot(node: Node) -> None:
    """k3s leaves out what its cache file says it has imported; so the file is emptied by the first start of a boot."""
    cache = node.root / "agent/images/.cache.json"
    node.begin()
    assert cache.read_text() == ""
    cache.write_text("known")
    node.begin()
    assert cache.read_text() == "known"  # k3s was restarted, or its start was cut short
    node.reboot("second")
    node.begin()
    assert cache.read_text() == ""


def test_the_unit_runs_them_around_the_start() -> None:
    around = [line for line in k3s.render_unit().splitlines() if line.startswith("ExecStart")]
    assert around[1:] == [
        f"ExecStartPre=/bin/sh {starting.BEFORE_FILE}",
        f"ExecStart={layout.K3S} server",
        f"ExecStartPost=/bin/sh {starting.AFTER_FILE}",
    ]
