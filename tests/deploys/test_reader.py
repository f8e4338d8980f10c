"""The node's credential for reading pods: the operation's own commands, run by sh against a `k3s` that answers as told."""

from __future__ import annotations

import base64
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest
from pyinfra.context import ctx_host

from binderbox import layout
from binderbox.deploys.facts.reader import StaleReader
from binderbox.deploys.operations import reader

ANSWERS = """#!/bin/sh
case "$*" in
    *'{{.data.token}}'*) cat {answers}/token 2>/dev/null ;;
    *'{{.data.ca\\.crt}}'*) cat {answers}/ca.crt 2>/dev/null ;;
    *) exit 1 ;;
esac
"""


class Node:
    """A node that runs what it is told, on this machine."""

    def __init__(self, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.directory = root / "node-reader"
        self.answers = root / "answers"
        self.answers.mkdir()
        program = root / "k3s"
        program.write_text(ANSWERS.format(answers=self.answers))
        program.chmod(0o755)
        monkeypatch.setattr(layout, "K3S", str(program))

    def cluster_says(self, **values: bytes) -> None:
        for name, value in values.items():
            (self.answers / name.replace("_", ".")).write_bytes(base64.b64encode(value))

    def get_fact(self, fact: type[StaleReader], **arguments: Any) -> list[str]:
        told = self._sh(str(fact().command(**arguments))).stdout.splitlines()
        return fact().process(told) if told else fact.default()  # as pyinfra does

    def noop(self, why: str) -> None:
        pass

    def converge(self) -> list[subprocess.CompletedProcess[str]]:
        with ctx_host.use(self):
            commands = list(reader.credential._inner(directory=str(self.directory)))  # type: ignore[attr-defined]
        return [self._sh(str(command)) for command in commands]

    def _sh(self, text: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["sh", "-c", text], capture_output=True, text=True, timeout=30, check=False)


@pytest.fixture
def node(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Node:
    return Node(tmp_path, monkeypatch)


def test_a_new_node_gets_the_credential_for_root_alone(node: Node) -> None:
    node.cluster_says(token=b"t0ken", ca_crt=b"-----BEGIN CERTIFICATE-----\n")
    (done,) = node.converge()
    assert done.returncode == 0, done.stderr
    assert (node.directory / "token").read_bytes() == b"t0ken"
    assert (node.directory / "ca.crt").read_bytes() == b"-----BEGIN CERTIFICATE-----\n"
    assert {stat.S_IMODE(path.stat().st_mode) for path in node.directory.iterdir()} == {0o600}
    assert stat.S_IMODE(node.directory.stat().st_mode) == 0o700
    assert sorted(path.name for path in node.directory.iterdir()) == ["ca.crt", "token"]


def test_the_same_credential_is_left_alone(node: Node) -> None:
    node.cluster_says(token=b"t0ken", ca_crt=b"ca")
    node.converge()
    assert node.converge() == []


@pytest.mark.parametrize("changed", [{"token": b"other"}, {"ca_crt": b"other"}])
def test_a_credential_that_the_cluster_replaced_is_taken_anew(node: Node, changed: dict[str, bytes]) -> None:
    node.cluster_says(token=b"t0ken", ca_crt=b"ca")
    node.converge()
    node.cluster_says(**changed)
    assert len(node.converge()) == 1
    assert node.converge() == []


def test_a_cluster_that_has_not_filled_it_in_is_waited_for_and_then_said(
    node: Node, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reader, "WAIT_S", 2)
    node.cluster_says(ca_crt=b"ca")
    (done,) = node.converge()
    assert done.returncode == 1
    assert "did not give the ServiceAccount node-reader a token within 2 s" in done.stderr
    assert not (node.directory / "token").exists()


def test_the_secret_is_in_no_command(node: Node) -> None:
    node.cluster_says(token=b"t0ken", ca_crt=b"ca")
    with ctx_host.use(node):
        commands = list(reader.credential._inner(directory=str(node.directory)))  # type: ignore[attr-defined]
    assert "t0ken" not in " ".join(map(str, commands))
