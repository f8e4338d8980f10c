"""The rig's Internet for those who fetch from it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from tests.rig.internet.machine import Machine
from tests.rig.internet.world import World

ADDRESS = "127.0.113.5"


@pytest.fixture(scope="package")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(ADDRESS, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture
def internet(shared: World) -> Iterator[World]:
    """Well, and asked for nothing yet."""
    shared.requests.clear()
    yield shared
    shared.faults.clear()
    shared.rate_bytes_s = None


@pytest.fixture(scope="package")
def machine(shared: World, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(shared, ADDRESS, tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="package")
def pins(shared: World) -> dict[str, Pin]:
    return versions.parse(shared.versions(pinned=True))
