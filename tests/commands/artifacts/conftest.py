"""Who asks the publishers of the rig's Internet: this machine, and a node."""

from __future__ import annotations

import socket
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from binderbox.commands.artifacts import patience
from binderbox.output.requests import Ask
from binderbox.world.host.asking import NodeAsks
from binderbox.world.http.publishers import Publishers
from binderbox.world.ssh.shell import Output
from tests.rig.internet.addresses import of_worker
from tests.rig.internet.machine import Machine
from tests.rig.internet.world import World

ADDRESS = of_worker("127.0.116")


class Node:
    """What NodeAsks needs of a host: one that runs its programs in the Internet of the rig."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine

    def run(self, argv: Sequence[str], *, stdin: bytes = b"", timeout_s: float = 120) -> Output:
        done = self._machine.run(*argv, stdin=stdin, within_s=timeout_s)
        return Output(done.returncode, done.stdout, done.stderr)


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture
def internet(shared: World, monkeypatch: pytest.MonkeyPatch) -> Iterator[World]:
    """Well, asked for nothing yet, and reached from this process by its names, which no resolver knows."""
    real = socket.getaddrinfo

    def known(host: Any, *rest: Any, **more: Any) -> Any:
        name = host.decode() if isinstance(host, bytes) else host
        return real(shared.names.addresses.get(name, host), *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", known)
    monkeypatch.setattr(patience, "PAUSE_S", 0.02)
    shared.requests.clear()
    yield shared
    shared.faults.clear()


@pytest.fixture
def client(internet: World) -> Iterator[Publishers]:
    publishers = Publishers([internet.ca_pem])
    yield publishers
    publishers.close()


@pytest.fixture(scope="package")
def node(shared: World, tmp_path_factory: pytest.TempPathFactory) -> NodeAsks:
    return NodeAsks(Node(Machine(shared, ADDRESS, tmp_path_factory.mktemp("node"))))  # type: ignore[arg-type]


@pytest.fixture(params=["client", "node"])
def asker(request: pytest.FixtureRequest, client: Publishers, node: NodeAsks) -> tuple[str, Ask]:
    """Each of the two, by its name."""
    return request.param, client if request.param == "client" else node


@pytest.fixture(scope="package")
def pinned(shared: World) -> dict[str, Pin]:
    """With the sums that are true."""
    return versions.parse(shared.versions(pinned=True))


@pytest.fixture(scope="package")
def pins(shared: World) -> dict[str, Pin]:
    return versions.parse(shared.versions(pinned=False))
