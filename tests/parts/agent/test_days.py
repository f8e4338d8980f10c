"""Three days of the simulated year through the job itself, on a real registry and object store: the same images are left.

A quarter of the launches, and a thousandth of the bytes.
"""

from __future__ import annotations

import pytest

from binderbox.parts.agent.jobs import retention
from tests.bench import year
from tests.parts.agent.replaying import CEILING_GB, SCALE, foretell, images_in, replay
from tests.parts.agent.test_retention import bucket, config, node, server, state
from tests.parts.registry.server import Registry

__all__ = ["node", "server"]  # fixtures
pytestmark = [pytest.mark.long, pytest.mark.timeout(1800)]


def test_the_job_leaves_what_the_simulation_says(node: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    foretold = foretell(monkeypatch)
    of_disk = config(max_gb=CEILING_GB / SCALE)
    for now in replay(node):
        assert retention.run(of_disk, None, now=now)
    assert images_in(one.key for one in bucket(node).all()) == foretold.names
    held = sum(one.size_bytes for one in bucket(node).all() if "/blobs/" in one.key)
    print(f"{len(foretold.names)} images, {held / 1e6:.1f} MB here, {foretold.bytes_gb[-1]:.1f} GB foretold")
    assert held * SCALE == pytest.approx(foretold.bytes_gb[-1] * year.GB, rel=0.05)
    assert state()["why"] == ""
