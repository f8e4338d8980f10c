"""One Internet for all tests of bundles; each has a home of its own, and leaves the Internet well."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.bundle.scene import Scene
from tests.rig.internet.addresses import of_worker
from tests.rig.internet.world import World

ADDRESS = of_worker("127.0.117")


@pytest.fixture(scope="package")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture
def scene(world: World, tmp_path: Path) -> Iterator[Scene]:
    world.requests.clear()
    yield Scene(world, tmp_path, ADDRESS)
    assert world.leaked == []
    world.faults.clear()
    world.rate_bytes_s = None
