"""What tests ask for when they need a real host. Such tests carry the marker `host`."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from tests.rig.client import Client, Finished
from tests.rig.engine import NoEngine, engine_runs, ensure_engine, stop_engine
from tests.rig.host import RigHost, clean, this_run

# Virtual machines: `make test-vm` and `make test-vm-fast`, never a part of `make test`.
collect_ignore = [] if os.environ.get("BINDERBOX_VM") else ["vm"]
# A shell without job control starts what it puts in the background deaf to Ctrl-C, and so all that this starts in turn.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Times are compared in `make bench`, never asserted in tests.
settings.register_profile("whatever it takes", deadline=None)
settings.load_profile("whatever it takes")


@dataclass(frozen=True)
class Installed:
    """A host with a member on it, the client that installed it, and how that went."""

    host: RigHost
    client: Client
    finished: Finished


@pytest.fixture(scope="session")
def rig_engine() -> Iterator[dict[str, str]]:
    """The environment under which docker answers. What this run started is removed at its end, nothing else."""
    found_running = engine_runs()
    try:
        env = ensure_engine()
    except NoEngine as reason:
        pytest.skip(str(reason))
    yield env
    clean(this_run(), env)
    if not found_running:
        stop_engine()


@pytest.fixture
def start_host(rig_engine: dict[str, str]) -> Iterator[Callable[..., RigHost]]:
    """`RigHost.start` for hosts that end with the test."""
    started: list[RigHost] = []

    def start(name: str, **options: object) -> RigHost:
        started.append(RigHost.start(name, **options))  # type: ignore[arg-type]
        return started[-1]

    yield start
    for host in started:
        host.stop()


@pytest.fixture
def fresh_host(start_host: Callable[..., RigHost]) -> RigHost:
    """A bare host of the test's own."""
    return start_host("fresh")


@pytest.fixture
def client(tmp_path: Path) -> Client:
    """Somebody who runs the program from a home of their own."""
    (tmp_path / "client").mkdir()
    return Client(tmp_path / "client")


@pytest.fixture
def second_client(tmp_path: Path) -> Client:
    """Somebody else at another machine."""
    (tmp_path / "second-client").mkdir()
    return Client(tmp_path / "second-client")


@pytest.fixture(scope="session")
def installed_host(
    rig_engine: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """A host on which the real program has installed a member; one for the whole run. Leave it as it was."""
    installer = Client(tmp_path_factory.mktemp("installer"))
    host = RigHost.start("installed")
    try:
        yield Installed(host, installer, installer.install(host, "--json").must())
    finally:
        host.stop()
