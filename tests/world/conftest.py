"""A private sshd for the tests of the connection, and hosts connected to it; nothing outside their directory changes."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from binderbox.world.host.hosts import Host
from binderbox.world.host.runlog import RunLog
from binderbox.world.ssh.connection import Connection
from binderbox.world.ssh.destination import parse_destination
from binderbox.world.ssh.sudo import Password
from tests.world.sshd import LocalSshd, start_sshd

OpenHost = Callable[..., Host]


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory that other users may enter, unlike tmp_path."""
    made = Path(tempfile.mkdtemp(prefix="bbx-test-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture(scope="session")
def sshd() -> Iterator[LocalSshd]:
    """One for all tests; a test that kills its sessions meets only its own."""
    if os.geteuid() != 0:
        pytest.skip("logs in to this machine as root over a private sshd, and this is not root")
    if not shutil.which("sshd", path=f"{os.environ.get('PATH', '')}:/usr/sbin"):
        pytest.skip("no sshd here (openssh-server)")
    made = Path(tempfile.mkdtemp(prefix="bbx-sshd-"))
    made.chmod(0o755)
    running = start_sshd(made)
    yield running
    running.stop()
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def open_host(sshd: LocalSshd, directory: Path) -> Iterator[OpenHost]:
    """Opens hosts on the private sshd, with its lock and temporary files under the test's directory."""
    hosts: list[Host] = []

    def make(config: Path | None = None, password: Password = None) -> Host:
        hosts.append(open_on(sshd, directory, config, password))
        return hosts[-1]

    yield make
    for host in hosts:
        host.close()


@pytest.fixture
def host(open_host: OpenHost) -> Host:
    return open_host()


def open_on(sshd: LocalSshd, directory: Path, config: Path | None = None, password: Password = None) -> Host:
    where = parse_destination("box", config or sshd.config)
    connection = Connection(where, password, run_dir=str(directory / "run")).open()
    return Host(where, connection, RunLog(directory / "logs/box.log"))
