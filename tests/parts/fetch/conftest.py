"""The rig's Internet for those who fetch from it; each module says at which ADDRESS, as they may run side by side."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from binderbox.artifacts import versions
from binderbox.artifacts.versions import Pin
from tests.rig.internet.machine import Machine
from tests.rig.internet.world import World


@pytest.fixture(scope="module")
def address(request: pytest.FixtureRequest) -> str:
    return str(request.module.ADDRESS)


@pytest.fixture(scope="module")
def shared(address: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(address, tmp_path_factory.mktemp("internet")) as internet:
        yield internet


@pytest.fixture
def internet(shared: World) -> Iterator[World]:
    """Well, and asked for nothing yet."""
    shared.requests.clear()
    yield shared
    shared.faults.clear()
    shared.rate_bytes_s = None


@pytest.fixture(scope="module")
def machine(shared: World, address: str, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    return Machine(shared, address, tmp_path_factory.mktemp("machine"))


@pytest.fixture(scope="module")
def pins(shared: World) -> dict[str, Pin]:
    return versions.parse(shared.versions(pinned=True))
